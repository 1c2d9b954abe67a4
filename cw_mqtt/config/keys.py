"""Sensor keys: of the settings, as they may be shown, and what a new key is written into.

Pure: a new key's randomness comes in as an argument.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.decode.packets import SensorKey, fingerprint
from cw_mqtt.errors import UsageError

NUMBERS_A_LINE = 8


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A configured key as it may be shown."""

    sensor: str
    fingerprint: str
    previous: bool
    example: bool

    def text(self) -> str:
        """As people read it."""
        previous = ", a previous key" if self.previous else ""
        example = ", the published example key" if self.example else ""
        return f"{self.sensor}: key {self.fingerprint}{previous}{example}"


def sensor_keys(sensors: Iterable[SensorSettings]) -> list[SensorKey]:
    """Every key under which a sensor is accepted."""
    return [
        SensorKey(
            sensor.slug,
            key.get_secret_value(),
            sensor.max_power_w,
            frozenset(sensor.receivers) if sensor.receivers else None,
            None if sensor.format == "auto" else sensor.format,
            previous=key is not sensor.key,
        )
        for sensor in sensors
        for key in (sensor.key, *sensor.previous_keys)
    ]


def fingerprints(keys: Iterable[SensorKey], example_key: bytes) -> Iterator[Fingerprint]:
    """The fingerprint of each configured key; `example_key` is the one that everybody knows."""
    for each in keys:
        shown = fingerprint(each.key)
        yield Fingerprint(each.sensor, shown, each.previous, each.key == example_key)


def refuse_keys(content: bytes, keys: Iterable[SensorKey]) -> None:
    """Raise `UsageError` if what is given as packets holds a key: it would be shown."""
    for each in keys:
        if each.key in content:
            raise UsageError(f"this is a key of sensor {each.sensor}, not a packet; keep it secret")


def key_header(slug: str, key: bytes) -> str:
    """The file `sensor_key.h` that a sensor's sketch includes."""
    numbers = [f"0x{byte:02x}" for byte in key]
    lines = (
        ", ".join(numbers[start : start + NUMBERS_A_LINE])
        for start in range(0, len(numbers), NUMBERS_A_LINE)
    )
    rows = ",\n".join(f"  {line}" for line in lines)
    return f"""\
// The key of sensor {slug}, fingerprint {fingerprint(key)}.
// A secret: who has it can read the sensor's packets, and send others in its name.
#ifndef SENSOR_KEY_H
#define SENSOR_KEY_H

#include <stdint.h>

static const uint8_t SENSOR_KEY[{len(key)}] = {{
{rows}
}};

#endif
"""


def config_line(key: bytes) -> str:
    """The line for the sensor's entry in config.yaml."""
    return f'key: "{key.hex()}"'


def next_steps(slug: str) -> str:
    """What to do with a new key, without losing a packet."""
    return f"""\
1. Put the header beside the sensor's sketch, as sensor_key.h. Do not upload it yet.
2. In config.yaml, put the line above at sensor {slug}. If the sensor has a key already, move
   that one to previous_keys, so that its packets count until the sensor has the new one:
     previous_keys: ["<the old key>"]
   Then restart cw-mqtt.
3. Upload the sketch. The log says "uses its new key now"; then previous_keys can go.
`cw-mqtt key fingerprint` and the comment in the header must show the same fingerprint."""
