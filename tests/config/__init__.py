"""Tests of cw_mqtt/config."""
