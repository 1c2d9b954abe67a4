"""The messages by which Home Assistant finds the sensors and the bridge by itself.

Pure. See <https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery>.
"""

from collections.abc import Iterable
from typing import Literal

from cw_mqtt.publish.entities import Component, Device
from cw_mqtt.publish.topics import Message, to_json

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
