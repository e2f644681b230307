"""Sockets, files and clocks."""
