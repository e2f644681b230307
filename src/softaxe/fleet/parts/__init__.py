"""A fleet in parts, which are asked and ordered alike wherever they are."""
