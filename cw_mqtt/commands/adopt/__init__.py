"""`cw-mqtt adopt`: take over an old CitizenWatt base."""
