"""The chip protocol, both ends, without I/O."""
