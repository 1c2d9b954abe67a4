"""`python -m cw_mqtt` is `cw-mqtt`."""

from cw_mqtt.cli import main

main()
