"""The entities that Home Assistant shows of each sensor and of the bridge. Pure.

Ids are made of the installation and the sensor's slug, never of a name that may change. What
Home Assistant makes of names, and of proposed ids, has the base topic in it where that is not the
plain one: two bridges would propose the same ones, and Home Assistant then adds a number to
whichever comes later.
What each key and device class may be is checked against `tests/data/homeassistant.json`.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from unicodedata import normalize

from cw_mqtt import __version__
from cw_mqtt.config.contract import DAY_TARIFF, NIGHT_TARIFF
from cw_mqtt.config.settings import MqttSettings, SensorSettings, Settings
from cw_mqtt.measure.tariff import Contract
from cw_mqtt.model import Verdict
from cw_mqtt.publish.topics import OFFLINE, ONLINE, Message, Topics, to_json

Component = Mapping[str, Any]

ORIGIN, MANUFACTURER = "cw-mqtt", "CitizenWatt"
PLAIN_BASE = "citizenwatt"  # the default of the settings
DIAGNOSTIC = {"entity_category": "diagnostic"}
CONNECTIVITY = {
    "platform": "binary_sensor",
    "device_class": "connectivity",
    "payload_on": ONLINE,
    "payload_off": OFFLINE,
    **DIAGNOSTIC,
}
RESTART = {
    "platform": "button",
    "name": "Restart",
    "device_class": "restart",
    "payload_press": "{}",
    **DIAGNOSTIC,
}
PACKETS_PER_MINUTE = {
    "name": "Packets per minute",
    "state_class": "measurement",
    "unit_of_measurement": "packets/min",
    "suggested_display_precision": 1,
    **DIAGNOSTIC,
}
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
COST = {
    "name": "Cost",
    "device_class": "monetary",
    "state_class": "total",
    "suggested_display_precision": 2,
}
OVERLOAD = {
    "platform": "binary_sensor",
    "name": "Overload",
    "device_class": "problem",
    "value_template": "{{ {true: 'ON', false: 'OFF'}.get(value_json.overload) }}",
}
DIAGNOSTICS: Mapping[str, Component] = {
    "battery": {
        "name": "Battery voltage",
        "device_class": "voltage",
        "state_class": "measurement",
        "unit_of_measurement": "V",
        "suggested_display_precision": 2,
        **DIAGNOSTIC,
    },
    "last_seen": {"name": "Last seen", "device_class": "timestamp", **DIAGNOSTIC},
    "loss": {
        "name": "Packet loss",
        "state_class": "measurement",
        "unit_of_measurement": "%",
        "suggested_display_precision": 1,
        "value_template": "{{ (value_json.loss * 100) | round(1) }}",
        **DIAGNOSTIC,
    },
    "quality": {
        "name": "Quality",
        "device_class": "enum",
        "options": [str(verdict) for verdict in Verdict if verdict.counts],
        **DIAGNOSTIC,
    },
}


@dataclass(frozen=True, slots=True)
class Device:
    """A device of Home Assistant: `shared` is what all of its components have in common.

    A component of nothing but its platform is one that this installation does not have: in the
    device style that removes what an earlier contract, or earlier settings, had.
    """

    node: str
    shared: Mapping[str, Any]
    components: Mapping[str, Component]


@dataclass(frozen=True, slots=True)
class Entities:
    """Describes the devices of one installation; `restart`: whether requests may restart it.

    `counted` are the tariffs in which energy was ever counted, of this contract and of others.
    """

    installation: str
    topics: Topics
    version: str
    contract: Contract
    counted: Collection[str]
    restart: bool

    def bridge(self) -> Device:
        """The bridge itself; its connectivity is there also when the bridge is not."""
        health = self.topics.bridge("health")
        there = {"availability": [{"topic": self.topics.bridge("state")}]}
        components: dict[str, Component] = {
            "connectivity": {**CONNECTIVITY, "state_topic": self.topics.bridge("state")},
            "receiver": {
                "name": "Receiver",
                **CONNECTIVITY,
                **read_from(health, "receiver"),
                **there,
            },
            "packets_per_minute": {
                **PACKETS_PER_MINUTE,
                **read_from(health, "packets_per_minute"),
                **there,
            },
            "restart": {**RESTART, "command_topic": self.topics.request("restart"), **there},
        }
        name = self._distinct("CitizenWatt bridge")
        about = {"name": name, "model": "cw-mqtt", "sw_version": self.version}
        return self._device("bridge", about, {}, components, () if self.restart else ("restart",))

    def sensor(self, sensor: SensorSettings) -> Device:
        """A sensor: its totals depend on the bridge alone, what is of this moment on both."""
        state = self.topics.sensor(sensor.slug, "state")
        bridge = {"topic": self.topics.bridge("state")}
        of_both = {
            "availability": [bridge, {"topic": self.topics.sensor(sensor.slug, "availability")}],
            "availability_mode": "all",
        }
        # Power and energy are read from topics of their own: the broker forgets an outdated
        # power, and the total is known before the first reading.
        components: dict[str, Component] = {
            "power": {**POWER, "state_topic": self.topics.sensor(sensor.slug, "power"), **of_both},
            "energy": {**ENERGY, "state_topic": self.topics.sensor(sensor.slug, "energy")},
            **{name: {**read_from(state, name), **each} for name, each in DIAGNOSTICS.items()},
            **{
                f"energy_{tariff}": {
                    **read_from(state, f"energy_{tariff}"),
                    "name": f"Energy {tariff.replace('_', ' ')}",
                    **ENERGY,
                }
                for tariff in self._tariffs()
            },
            "cost": {
                **read_from(state, "cost"),
                **COST,
                "unit_of_measurement": self.contract.currency,
            },
            "overload": {"state_topic": state, **OVERLOAD, **of_both},
        }
        about = {
            "name": self._distinct(sensor.name),
            "model": "CitizenWatt sensor",
            "via_device": f"{self.installation}_bridge",
        }
        shared = {"availability": [bridge]}
        return self._device(sensor.slug, about, shared, components, self._not_in_contract())

    def _distinct(self, name: str) -> str:
        """A device's name that no bridge with another base topic gives to one of its own."""
        return name if self.topics.base == PLAIN_BASE else f"{name} ({self.topics.base})"

    @property
    def _prefix(self) -> str:
        """The base topic in the characters of an entity id."""
        plain = normalize("NFKD", self.topics.base.lower())
        words = re.findall("[a-z0-9]+", re.sub("[^\x00-\x7f]", "", plain))
        return "_".join(words) or f"{PLAIN_BASE}_{self.installation}"

    def _tariffs(self) -> list[str]:
        return sorted({DAY_TARIFF, NIGHT_TARIFF, *self.counted, *self.contract.tariffs})

    def _not_in_contract(self) -> set[str]:
        there = {
            **{f"energy_{name}": name in self.contract.tariffs for name in self._tariffs()},
            "cost": self.contract.currency,
            "overload": self.contract.limited,
        }
        return {quantity for quantity, has in there.items() if not has}

    def _device(
        self,
        owner: str,
        about: Mapping[str, str],
        shared: Mapping[str, Any],
        components: Mapping[str, Component],
        absent: Collection[str],
    ) -> Device:
        node = f"{self.installation}_{owner}"
        return Device(
            node,
            {
                "device": {"identifiers": [node], "manufacturer": MANUFACTURER, **about},
                "origin": {"name": ORIGIN, "sw_version": self.version},
                **shared,
            },
            {
                quantity: self._component(owner, quantity, component, absent)
                for quantity, component in components.items()
            },
        )

    def _component(
        self, owner: str, quantity: str, component: Component, absent: Collection[str]
    ) -> Component:
        platform = component.get("platform", "sensor")
        if quantity in absent:
            return {"platform": platform}
        entity_id = f"{self._prefix}_{owner}_{quantity}".replace("-", "_")
        return {
            "platform": platform,
            "unique_id": f"{self.installation}_{owner}_{quantity}",
            "default_entity_id": f"{platform}.{entity_id}",
            **component,
        }


def read_from(topic: str, name: str) -> Component:
    """Where an entity finds its value: one of a JSON object."""
    return {"state_topic": topic, "value_template": f"{{{{ value_json.{name} }}}}"}


Style = Literal["device", "entity", "none"]

MIGRATE = to_json({"migrate_discovery": True})


def discovery_messages(prefix: str, style: Style, devices: Iterable[Device]) -> list[Message]:
    """The discovery messages of devices, in either style."""
    if style == "device":
        return [device_message(prefix, device) for device in devices]
    if style == "entity":
        return [
            entity_message(prefix, device, quantity, component)
            for device in devices
            for quantity, component in device.components.items()
            if len(component) > 1
        ]
    return []


def device_message(prefix: str, device: Device) -> Message:
    """One message for a whole device."""
    payload = {**device.shared, "components": device.components}
    return Message(f"{prefix}/device/{device.node}/config", to_json(payload), 1, retain=True)


def entity_message(prefix: str, device: Device, quantity: str, component: Component) -> Message:
    """The message of one entity of a device."""
    payload = {**device.shared, **component}
    platform = payload.pop("platform")
    topic = f"{prefix}/{platform}/{device.node}/{quantity}/config"
    return Message(topic, to_json(payload), 1, retain=True)


def discovery_first(topic: str) -> tuple[bool, str]:
    """Sorts topics of discovery, in either style and under any prefix, before all others."""
    return not topic.endswith("/config"), topic


OTHER_STYLE: Mapping[Style, Style] = {"device": "entity", "entity": "device", "none": "none"}


@dataclass(frozen=True, slots=True)
class Identity:
    """What depends on the installation: discovery, and every topic that is retained.

    `handed_over` are the topics of the other style of discovery.
    """

    discovery: tuple[Message, ...]
    handed_over: frozenset[str]
    retained: frozenset[str]

    @classmethod
    def of(
        cls,
        installation: str,
        mqtt: MqttSettings,
        settings: Settings,
        counted: Collection[str] = (),
    ) -> "Identity":
        """The identity that these settings give to an installation.

        `counted` are the tariffs in which energy was ever counted.
        """
        topics = Topics(mqtt.base_topic)
        restart = "restart" in mqtt.allow_requests
        contract = Contract(settings)
        entities = Entities(installation, topics, __version__, contract, counted, restart)
        # the bridge first, for the sensors refer to it
        devices = [entities.bridge(), *map(entities.sensor, settings.sensors)]
        style, prefix = mqtt.discovery.style, mqtt.discovery.prefix
        messages = discovery_messages(prefix, style, devices)
        others = discovery_messages(prefix, OTHER_STYLE[style], devices)
        retained = topics.retained([sensor.slug for sensor in settings.sensors])
        return cls(
            tuple(messages),
            frozenset(message.topic for message in others),
            frozenset(retained | {message.topic for message in messages}),
        )
