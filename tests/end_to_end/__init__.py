"""The installed program as its own process, between real neighbours."""
