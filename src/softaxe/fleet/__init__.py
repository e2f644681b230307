"""Many devices on one clock."""
