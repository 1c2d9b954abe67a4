"""What a connection to the broker needs of the network: a wakeup, TLS, and failures in words."""

import select
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from cw_mqtt.config.settings import MqttSettings, TlsSettings
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.publish.limits import MOST_UNACKED, Protocol
from cw_mqtt.publish.topics import Message
from cw_mqtt.runtime.wakeup import Wakeup

VERSION_REFUSED = 132
NOT_TAKEN = {
    135: "it is not allowed; see the broker's access rules",
    144: "the broker wants other topics",
    149: "it is too large for the broker",
    151: "the broker's quota is used up",
}
BAD_ACCOUNT = "refuses the username or the password; see mqtt.username and mqtt.password"
REFUSALS = {
    133: "does not accept the client id",
    134: BAD_ACCOUNT,
    135: BAD_ACCOUNT,
    136: "is not ready",
    137: "is busy",
    138: "has banned this client",
    142: "has another client with the same client id",
}

# by the reason for which a broker refuses a CONNECT because of its will
WEAKER: Mapping[int, dict[str, Any]] = {154: {"retain": False}, 155: {"qos": 0}}


class VersionRefusedError(ResourceAwayError):
    """The broker does not speak this version of MQTT, as far as one can tell."""


class WillRefusedError(ResourceAwayError):
    """The broker takes no such last will; `will` is one that it may take."""

    def __init__(self, will: Message) -> None:
        super().__init__("the broker does not accept the last will")
        self.will = will


class SocketWakeup(Wakeup):
    """A wakeup that `select` can wait for, together with sockets."""

    def __init__(self) -> None:
        self._listening, self._ringing = socket.socketpair()
        self._listening.settimeout(0)
        self._ringing.settimeout(0)

    def close(self) -> None:
        """Let go of its two ends; it is not rung again."""
        self._listening.close()
        self._ringing.close()

    def fileno(self) -> int:
        """What `select` needs."""
        return self._listening.fileno()

    def wake(self) -> None:
        """Let the waiting thread, or the next one that waits, go on."""
        with suppress(BlockingIOError):  # it is full of rings already
            self._ringing.send(b"!")

    def hush(self) -> None:
        """Forget the rings so far."""
        with suppress(BlockingIOError):
            while self._listening.recv(4096):
                pass

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for a wakeup since the last wait; false when the time ran out first."""
        rung = bool(select.select([self], [], [], timeout_s)[0])
        self.hush()
        return rung


class NamedContext(ssl.SSLContext):
    """A TLS context that expects the broker's certificate to bear `expected_name`."""

    expected_name: str | None = None

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """As the parent's; the name that paho gives is the host's."""
        if self.expected_name:
            options["server_hostname"] = self.expected_name
        elif isinstance(host := options.get("server_hostname"), str):
            options["server_hostname"] = host.rstrip(".")  # no certificate bears the last dot
        return super().wrap_socket(*args, **options)


def tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """The TLS context of the settings.

    Raises `ResourceAwayError` when a certificate or key cannot be used.
    """
    context = NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.expected_name = tls.server_name
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if tls.ca:
            context.load_verify_locations(tls.ca)
        else:
            context.load_default_certs()
        if tls.cert:
            context.load_cert_chain(tls.cert, tls.key, password=tls.passphrase)
    except OSError as error:
        raise ResourceAwayError(
            f"cannot use the TLS files of mqtt.tls: {in_words(error)}{tls.doubt}"
        ) from error
    return context


def refusal(code: ReasonCode) -> str:
    """Why the broker refuses the connection, as the end of a sentence about it."""
    return REFUSALS.get(code.value, f"refuses the connection: {code.getName().lower()}")


def not_taken(answer: ReasonCode) -> str:
    """Why the broker does not let us use a topic."""
    return NOT_TAKEN.get(answer.value, f"the broker says: {answer.getName().lower()}")


def in_words(error: Exception) -> str:
    """What a failed connection means; none of these errors holds a password."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its TLS certificate is not trusted: {error.verify_message}; "
            "see mqtt.tls.ca and mqtt.tls.server_name"
        )
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}; see mqtt.port and mqtt.tls"
    if isinstance(error, socket.gaierror):
        return "the host name is unknown; see mqtt.host"
    if isinstance(error, ConnectionResetError):
        return "it closes the connection; see mqtt.port, mqtt.tls and mqtt.transport"
    if isinstance(error, TimeoutError):
        return "no answer; see mqtt.host and mqtt.port"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused; is it running? see mqtt.host and mqtt.port"
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return str(error)


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
