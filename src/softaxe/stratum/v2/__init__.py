"""Stratum v2, both ends, without I/O."""
