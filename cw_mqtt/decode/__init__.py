"""Frames, packets and verified readings: pure, values in, values out."""
