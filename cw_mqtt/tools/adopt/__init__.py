"""Taking over an old CitizenWatt base: `cw-mqtt adopt`."""
