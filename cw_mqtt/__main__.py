"""`python -m cw_mqtt` is `cw-mqtt`."""

import sys

from cw_mqtt.commands import main

if not sys.flags.safe_path:
    del sys.path[0]  # the working folder: what is imported later is not meant from there
main()
