"""Bytes from the air or the wire -> chunks; knows ports, knows nothing of measures."""
