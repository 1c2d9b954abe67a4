"""v1, the sensor of 2014: each packet carries the encrypted end of the one before it."""

from cw_mqtt.decode.formats.format import Field, Format

V1 = Format(
    "v1",
    (
        Field("power", 2, "W"),
        Field("voltage", 2, "V", range(90, 281)),
        Field("battery", 2, "mV", range(1500, 6501)),
        Field("timer", 4, "ms"),
        Field("padding", 6),
    ),
)
