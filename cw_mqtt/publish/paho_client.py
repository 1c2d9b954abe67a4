"""A client of paho-mqtt as the settings want it: account, TLS, transport, last will."""

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cw_mqtt.config.settings import MqttSettings
from cw_mqtt.publish.limits import MOST_UNACKED, Protocol
from cw_mqtt.publish.network import tls_context
from cw_mqtt.publish.topics import Message

VERSIONS: dict[Protocol, MQTTProtocolVersion] = {
    "5": MQTTProtocolVersion.MQTTv5,
    "3.1.1": MQTTProtocolVersion.MQTTv311,
}
# Also how long the session outlives the connection, or the will would not wait. A frozen bridge
# must be offline within 40 s: Mosquitto sees it 22.5 to 28 s after its last packet.
WILL_DELAY_S = 10


def make_client(
    settings: MqttSettings, client_id: str, will: Message | None, protocol: Protocol
) -> paho.Client:
    """A client that is not connected yet. Raises `ResourceAwayError` for unusable TLS files."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=VERSIONS[protocol],
        transport=settings.transport,
        reconnect_on_failure=False,
    )
    if settings.transport == "websockets":
        client.ws_set_options(settings.path)
    if settings.username is not None:
        password = settings.password
        client.username_pw_set(settings.username, password.get_secret_value() if password else None)
    if settings.tls:
        client.tls_set_context(tls_context(settings.tls))
        client.tls_insecure_set(not settings.tls.verify)
    if will:
        delay = properties(protocol, PacketTypes.WILLMESSAGE, WillDelayInterval=WILL_DELAY_S)
        client.will_set(will.topic, will.payload, will.qos, will.retain, delay)
    client.max_inflight_messages_set(MOST_UNACKED)
    return client


def message_properties(protocol: Protocol, message: Message) -> Properties | None:
    """The MQTT 5 properties of a message; None when it has none."""
    values: dict[str, int | bytes] = {}
    if message.expiry_s is not None:
        values["MessageExpiryInterval"] = message.expiry_s
    if message.correlation is not None:
        values["CorrelationData"] = message.correlation
    return properties(protocol, PacketTypes.PUBLISH, **values) if values else None


def properties(protocol: Protocol, packet: int, **values: int | bytes) -> Properties | None:
    """MQTT 5 properties of a packet; None for 3.1.1, which has none."""
    if protocol != "5":
        return None
    made = Properties(packet)  # type: ignore[no-untyped-call]  # paho gives it no types
    for name, value in values.items():
        setattr(made, name, value)
    return made
