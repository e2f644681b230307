"""The pool protocol, both ends, without I/O."""
