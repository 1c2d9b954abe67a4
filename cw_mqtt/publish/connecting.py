"""A connection in the way that this broker wants it: version of MQTT, last will."""

from cw_mqtt.config.settings import MqttSettings
from cw_mqtt.publish.client import UNKNOWN, Connection
from cw_mqtt.publish.limits import Limits, Protocol
from cw_mqtt.publish.network import NetworkBell, VersionRefusedError, WillRefusedError
from cw_mqtt.publish.topics import Message


def connect(
    settings: MqttSettings,
    client_id: str,
    will: Message | None,
    bell: NetworkBell,
    last_worked: Protocol | None,
    limits: Limits = UNKNOWN,
) -> Connection:
    """Connect with the protocol of the settings; `auto` is MQTT 5, or else 3.1.1.

    What worked the last time is tried first, and a will that the broker takes. Raises as
    `Connection`.
    """

    def open_with(protocol: Protocol, will: Message | None = will) -> Connection:
        try:
            return Connection(settings, client_id, will, protocol, bell, limits)
        except WillRefusedError as refused:
            return open_with(protocol, refused.will)

    if settings.protocol != "auto":
        return open_with(settings.protocol)
    first: Protocol = last_worked or "5"
    try:
        return open_with(first)
    except VersionRefusedError:
        return open_with("3.1.1" if first == "5" else "5")
