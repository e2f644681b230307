"""Figures, each beside a named peer or limit, measured in one run."""
