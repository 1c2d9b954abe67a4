"""One module for each step, never changed after its release."""
