"""Readings -> MQTT and Home Assistant."""
