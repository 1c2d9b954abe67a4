"""Writes `tests/data/homeassistant.json`: what Home Assistant accepts in discovery messages.

Run it with the Python of a Home Assistant, when a newer one is to be followed:

    /path/to/homeassistant/bin/python tests/publish/homeassistant_facts.py
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from homeassistant.components.binary_sensor import BinarySensorDeviceClass
from homeassistant.components.button import ButtonDeviceClass
from homeassistant.components.mqtt import binary_sensor, button, schemas, sensor
from homeassistant.components.sensor.const import (
    DEVICE_CLASS_STATE_CLASSES,
    DEVICE_CLASS_UNITS,
    SensorDeviceClass,
)

FILE = Path(__file__).parent.parent / "data" / "homeassistant.json"
DEPRECATED = {"object_id"}  # replaced by default_entity_id
USED = ("power", "energy", "voltage", "timestamp", "enum", "monetary")


def keys(schema: Any) -> list[str]:
    """The keys that a schema of Home Assistant names, wherever it hides them."""
    found: set[str] = set()
    for part in getattr(schema, "validators", [schema]):
        inner = getattr(part, "schema", part)
        if isinstance(inner, dict):
            found |= {str(key) for key in inner}
    return sorted(found - DEPRECATED)


def facts() -> dict[str, Any]:
    """Everything that the tests of discovery ask for, and no more."""
    return {
        "homeassistant": version("homeassistant"),
        "keys": {
            "sensor": keys(sensor.DISCOVERY_SCHEMA),
            "binary_sensor": keys(binary_sensor.DISCOVERY_SCHEMA),
            "button": keys(button.DISCOVERY_SCHEMA),
            "device": keys(schemas.MQTT_ENTITY_DEVICE_INFO_SCHEMA),
            "origin": keys(schemas.MQTT_ORIGIN_INFO_SCHEMA),
            "availability": [
                "payload_available",
                "payload_not_available",
                "topic",
                "value_template",
            ],
        },
        "sensor_classes": {
            name: {
                "units": sorted(
                    str(u) for u in DEVICE_CLASS_UNITS.get(SensorDeviceClass(name), ())
                ),
                "state_classes": sorted(DEVICE_CLASS_STATE_CLASSES[SensorDeviceClass(name)]),
            }
            for name in USED
        },
        "binary_sensor_classes": sorted(map(str, BinarySensorDeviceClass)),
        "button_classes": sorted(map(str, ButtonDeviceClass)),
    }


FILE.write_text(json.dumps(facts(), indent=1) + "\n", "utf-8")
