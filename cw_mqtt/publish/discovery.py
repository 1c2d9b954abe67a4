"""The messages by which Home Assistant finds the sensors and the bridge by itself.

Pure. Ids are made of the installation and the sensor's slug, never of a name that may change.
See <https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery>.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.model import Verdict
from cw_mqtt.publish.topics import OFFLINE, ONLINE, Message, Topics, to_json

Style = Literal["device", "entity", "none"]
Component = Mapping[str, Any]

MIGRATE = to_json({"migrate_discovery": True})
MANUFACTURER = "CitizenWatt"

# Power and energy are read from topics of their own: the broker forgets an outdated power, and
# the total is known before the first reading. All else comes out of the state's JSON.
ENERGY = {
    "device_class": "energy",
    "state_class": "total_increasing",
    "unit_of_measurement": "kWh",
    "suggested_display_precision": 2,
}
POWER = {
    "device_class": "power",
    "state_class": "measurement",
    "unit_of_measurement": "W",
    "suggested_display_precision": 0,
}
DIAGNOSTICS: Mapping[str, Component] = {
    "battery": {
        "name": "Battery voltage",
        "device_class": "voltage",
        "state_class": "measurement",
        "unit_of_measurement": "V",
        "suggested_display_precision": 2,
        "entity_category": "diagnostic",
    },
    "last_seen": {
        "name": "Last seen",
        "device_class": "timestamp",
        "entity_category": "diagnostic",
    },
    "loss": {
        "name": "Packet loss",
        "state_class": "measurement",
        "unit_of_measurement": "%",
        "suggested_display_precision": 1,
        "entity_category": "diagnostic",
        "value_template": "{{ value_json.loss * 100 }}",
    },
    "quality": {
        "name": "Quality",
        "device_class": "enum",
        "options": [str(verdict) for verdict in Verdict if verdict.counts],
        "entity_category": "diagnostic",
    },
}
TARIFFS: Mapping[str, Component] = {
    "energy_day": {"name": "Energy day", **ENERGY},
    "energy_night": {"name": "Energy night", **ENERGY},
}


@dataclass(frozen=True, slots=True)
class Device:
    """A device of Home Assistant: `shared` is what all of its entities have in common."""

    node: str
    shared: Mapping[str, Any]
    components: Mapping[str, Component]


@dataclass(frozen=True, slots=True)
class Discovery:
    """Makes the discovery messages of one installation, in either style."""

    installation: str
    topics: Topics
    prefix: str
    version: str
    night_prices: bool

    def messages(self, style: Style, sensors: Iterable[SensorSettings]) -> list[Message]:
        """All discovery messages; the bridge first, for the sensors refer to it."""
        devices = [self._bridge(), *map(self._sensor, sensors)]
        if style == "device":
            return [self._device_message(device) for device in devices]
        if style == "entity":
            return [
                self._entity_message(device, quantity, component)
                for device in devices
                for quantity, component in device.components.items()
                if len(component) > 1
            ]
        return []

    def _device_message(self, device: Device) -> Message:
        payload = {**device.shared, "components": device.components}
        topic = f"{self.prefix}/device/{device.node}/config"
        return Message(topic, to_json(payload), 1, retain=True)

    def _entity_message(self, device: Device, quantity: str, component: Component) -> Message:
        payload = {**device.shared, **component}
        platform = payload.pop("platform")
        topic = f"{self.prefix}/{platform}/{device.node}/{quantity}/config"
        return Message(topic, to_json(payload), 1, retain=True)

    def _bridge(self) -> Device:
        node = f"{self.installation}_bridge"
        connectivity = {
            "platform": "binary_sensor",
            "unique_id": f"{node}_connectivity",
            "default_entity_id": "binary_sensor.citizenwatt_bridge_connectivity",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": self.topics.bridge("state"),
            "payload_on": ONLINE,
            "payload_off": OFFLINE,
        }
        return Device(
            node,
            {
                "device": {
                    "identifiers": [node],
                    "name": "CitizenWatt bridge",
                    "manufacturer": MANUFACTURER,
                    "model": "cw-mqtt",
                    "sw_version": self.version,
                },
                "origin": self._origin(),
            },
            {"connectivity": connectivity},
        )

    def _sensor(self, sensor: SensorSettings) -> Device:
        node = f"{self.installation}_{sensor.slug}"
        return Device(
            node,
            {
                "device": {
                    "identifiers": [node],
                    "name": sensor.name,
                    "manufacturer": MANUFACTURER,
                    "model": "CitizenWatt sensor",
                    "via_device": f"{self.installation}_bridge",
                },
                "origin": self._origin(),
                "availability": [{"topic": self.topics.bridge("state")}],
            },
            self._components(sensor.slug),
        )

    def _components(self, slug: str) -> dict[str, Component]:
        components: dict[str, Component] = {
            "power": {
                **self._component(slug, "power"),
                **POWER,
                "state_topic": self.topics.sensor(slug, "power"),
                "availability": [
                    {"topic": self.topics.bridge("state")},
                    {"topic": self.topics.sensor(slug, "availability")},
                ],
                "availability_mode": "all",
            },
            "energy": {
                **self._component(slug, "energy"),
                **ENERGY,
                "state_topic": self.topics.sensor(slug, "energy"),
            },
        }
        for quantity, description in DIAGNOSTICS.items():
            components[quantity] = self._from_state(slug, quantity, description)
        for quantity, description in TARIFFS.items():
            # a bare platform removes what an earlier contract had
            components[quantity] = (
                self._from_state(slug, quantity, description)
                if self.night_prices
                else {"platform": "sensor"}
            )
        return components

    def _from_state(self, slug: str, quantity: str, description: Component) -> dict[str, Any]:
        return {
            **self._component(slug, quantity),
            "state_topic": self.topics.sensor(slug, "state"),
            "value_template": f"{{{{ value_json.{quantity} }}}}",
            **description,
        }

    def _component(self, slug: str, quantity: str) -> dict[str, Any]:
        entity_id = f"citizenwatt_{slug}_{quantity}".replace("-", "_")
        return {
            "platform": "sensor",
            "unique_id": f"{self.installation}_{slug}_{quantity}",
            "default_entity_id": f"sensor.{entity_id}",
        }

    def _origin(self) -> dict[str, str]:
        return {"name": "cw-mqtt", "sw_version": self.version}


def discovery_first(topic: str) -> tuple[bool, str]:
    """Sorts topics of discovery, in either style and under any prefix, before all others."""
    return not topic.endswith("/config"), topic
