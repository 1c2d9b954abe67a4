"""What was accepted, on this computer's disk, before anybody is told."""
