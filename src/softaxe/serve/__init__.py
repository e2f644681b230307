"""One device on the network and on disk."""
