"""One packet's journey, from the bytes of a receiver to a committed reading."""
