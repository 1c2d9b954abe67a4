"""v1.1: as v1, with a tag for a padding, so that each packet proves itself."""

from dataclasses import replace

from cw_mqtt.decode.formats.v1 import V1

V1_1 = replace(V1, name="v1.1", tag=b"CWv1.1")
