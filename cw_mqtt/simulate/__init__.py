"""Sensors, the air and the cable, as pure code: for tests, the demo and whoever has no sensor."""
