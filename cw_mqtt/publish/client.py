"""One connection to the broker, over paho-mqtt, driven by the thread that uses it.

There is no network thread that could die unnoticed or be joined without limit: whoever holds the
connection calls `work`, which waits for the network and for the wakeup at the same time.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from cw_mqtt.config.settings import MqttSettings
from cw_mqtt.config.values import in_url
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.publish.limits import Limits, Protocol
from cw_mqtt.publish.paho_setup import (
    REFUSALS,
    VERSION_REFUSED,
    WEAKER,
    WILL_DELAY_S,
    SocketWakeup,
    VersionRefusedError,
    WillRefusedError,
    in_words,
    make_client,
    message_properties,
    not_taken,
    properties,
    refusal,
)
from cw_mqtt.publish.requests import Received
from cw_mqtt.publish.send_queue import SendQueue
from cw_mqtt.publish.topics import Message

KEEPALIVE_S = 15
BROKER_WITHIN_S = 20.0
OWED_FOR_LONG_S = 2.0
CONNACK_WITHIN_S = 5.0  # amqtt waits for more of a CONNECT that it does not understand
TICK_S = 1.0  # paho looks after its keepalive at least this often
MOST_RECEIVED = 100
UNKNOWN = Limits()


class Connection:
    """A connection from CONNECT to its end. Every method raises `ResourceAwayError` at its end.

    `published` counts messages handed to the broker; `acked_at_s` is the monotonic time of its
    last acknowledgement; `received` is what came for our subscriptions, to be taken out;
    `refused` has the topics that the broker does not let us read or write, each with the reason.
    Raises `ResourceAwayError` when the broker cannot be reached or refuses, with the reason in
    words, `VersionRefusedError` when another version of MQTT may help, and `WillRefusedError`.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        will: Message | None,
        protocol: Protocol,
        wakeup: SocketWakeup,
        limits: Limits = UNKNOWN,
    ) -> None:
        self.protocol = protocol
        self.limits = limits
        self.published = 0
        self.acked_at_s = time.monotonic()
        self.received: deque[Received] = deque(maxlen=MOST_RECEIVED)
        self.refused: dict[str, str] = {}
        self._broker = f"the MQTT broker {in_url(settings.host)}:{settings.port}"
        self._client_id = client_id
        self._wakeup = wakeup
        self._will = will
        self._queue = SendQueue()
        self._acks: deque[tuple[int, ReasonCode]] = deque()
        self._connack: ReasonCode | None = None
        self._subacks: dict[int, list[ReasonCode]] = {}
        self._lost: ReasonCode | None = None
        self._paho = self._client(settings, client_id, will)
        self._open(settings)

    @property
    def waiting(self) -> int:
        """How many messages the broker has not taken yet."""
        return len(self._queue)

    @property
    def is_late(self) -> bool:
        """Whether the broker owes the acknowledgement of a message for longer than usual."""
        return self._owing_s() > OWED_FOR_LONG_S

    @property
    def behind(self) -> bool:
        """Whether the broker takes messages slower than we have them."""
        return self._queue.behind

    def subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe with QoS 1 and wait until the broker has confirmed it.

        A topic that the broker does not let us read is one of `refused` then.
        """
        _, mid = self._paho.subscribe([(topic, 1) for topic in topics])
        self._wait_until(lambda: mid in self._subacks)
        answers = zip(topics, self._subacks.pop(mid or 0), strict=True)
        self.refused |= {topic: not_taken(answer) for topic, answer in answers if answer.is_failure}

    def unsubscribe(self, topics: Sequence[str]) -> None:
        """Ask for no more messages of these topics; does not wait."""
        self._paho.unsubscribe(list(topics))

    def publish(self, message: Message) -> None:
        """Publish, or while the broker is behind, keep the newest message of each topic.

        What the broker would not take is one of `refused` then.
        """
        message = self.limits.fitted(message, self.protocol)
        if objection := self.limits.objection(message, self.protocol):
            self.refused[message.topic] = objection
            return
        self._queue.put(message)
        self._hand_over()

    def publish_all(self, messages: Iterable[Message]) -> None:
        """Publish messages in this order."""
        for message in messages:
            self.publish(message)

    def objection(self, messages: Iterable[Message]) -> str | None:
        """The first of these messages that the broker would not take, and why."""
        objections = ((m.topic, self.limits.objection(m, self.protocol)) for m in messages)
        return next((f"{topic}: {why}" for topic, why in objections if why), None)

    def unanswered(self) -> Message | None:
        """The largest of the messages that the broker has not acknowledged."""
        return self._queue.largest()

    def settle(self, within_s: float = BROKER_WITHIN_S) -> None:
        """Wait until the broker has acknowledged everything."""
        self._wait_until(lambda: not self.waiting, within_s)

    def work(self, timeout_s: float) -> None:
        """Do what the network asks for; return after a wakeup or `timeout_s` at the latest."""
        self._check()
        wire: Any = self._paho.socket()
        decrypted = bool(getattr(wire, "pending", int)())  # TLS holds bytes that select misses
        readable, writable, _ = select.select(
            [wire, self._wakeup],
            [wire] if self._paho.want_write() else [],
            [],
            0 if decrypted else timeout_s,
        )
        if self._wakeup in readable:
            self._wakeup.hush()
        if decrypted or wire in readable:
            self._paho.loop_read()
        if wire in writable:
            self._paho.loop_write()
        self._paho.loop_misc()
        self._hand_over()
        self._check()

    def say_goodbye(self) -> None:
        """End the connection in order; the broker then does not send the will."""
        self._paho.disconnect()

    def close(self) -> None:
        """Let go of the network; without a goodbye before, the broker sends the will."""
        wire: Any = self._paho.socket()
        if wire is not None:
            wire.close()

    def _client(self, settings: MqttSettings, client_id: str, will: Message | None) -> paho.Client:
        client = make_client(settings, client_id, will, self.protocol)
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _open(self, settings: MqttSettings) -> None:
        session = properties(self.protocol, PacketTypes.CONNECT, SessionExpiryInterval=WILL_DELAY_S)
        try:
            self._paho.connect(
                settings.host,
                settings.port,
                keepalive=KEEPALIVE_S,
                clean_start=False if self.protocol == "5" else paho.MQTT_CLEAN_START_FIRST_ONLY,
                properties=session,
            )
        except (OSError, ValueError) as error:  # ValueError: a host name that cannot be one
            raise ResourceAwayError(f"cannot reach {self._broker}: {in_words(error)}") from error
        try:
            self._wait_until(lambda: self._connack is not None, CONNACK_WITHIN_S)
        except BaseException as error:
            self.close()
            if self._connack is None and isinstance(error, ResourceAwayError):
                raise VersionRefusedError(
                    f"{self._broker} does not answer MQTT {self.protocol}; does it expect TLS, "
                    "no TLS, a client certificate, or another version of MQTT, or does it take no "
                    "retained messages or no QoS 1? see mqtt.port, mqtt.tls and mqtt.protocol"
                ) from error
            raise

    def _wait_until(self, condition: Callable[[], bool], within_s: float = BROKER_WITHIN_S) -> None:
        deadline_s = time.monotonic() + within_s
        while not condition():
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise ResourceAwayError(f"{self._broker} does not answer")
            self.work(min(left_s, TICK_S))

    def _hand_over(self) -> None:
        """Give paho what waits, as far as the broker keeps up."""
        self._take_acks()
        while message := self._queue.take(self.limits.window):
            handed = self._paho.publish(
                message.topic,
                message.payload,
                message.qos,
                message.retain,
                message_properties(self.protocol, message),
            )
            self._queue.sent(handed.mid, message, time.monotonic())
            self.published += 1
            self._take_acks()

    def _take_acks(self) -> None:
        while self._acks:
            mid, answer = self._acks.popleft()
            message = self._queue.acked(mid)
            if message.qos:
                self.acked_at_s = time.monotonic()
            if answer.is_failure:
                self.refused[message.topic] = not_taken(answer)

    def _check(self) -> None:
        """Raise when the connection is of no more use, also if nobody has told us."""
        if self._connack is not None and self._connack.is_failure:
            weaker = self._will and replace(self._will, **WEAKER.get(self._connack.value, {}))
            if weaker and weaker != self._will:
                raise WillRefusedError(weaker)
            versioned = self._connack.value == VERSION_REFUSED
            error = VersionRefusedError if versioned else ResourceAwayError
            raise error(f"{self._broker} {refusal(self._connack)}")
        if self._lost is not None or self._paho.socket() is None:
            code = self._lost.value if self._lost else 0
            raise ResourceAwayError(f"{self._broker} {REFUSALS.get(code) or self._why_closed()}")
        if self._owing_s() > BROKER_WITHIN_S:
            raise ResourceAwayError(f"{self._broker} no longer acknowledges messages")

    def _owing_s(self) -> float:
        return self._queue.owing_s(time.monotonic())

    def _why_closed(self) -> str:
        """What may have made the broker close the connection without a word."""
        said = "has closed the connection: it was stopped, "
        if message := self.unanswered():
            said += f"it does not accept {message.topic} ({len(message.payload)} characters), "
        return f"{said}or another client uses the client id {self._client_id}"

    # Called by paho: these only note what happened, for an error raised here is lost in paho.

    def _on_socket_open(self, client: Any, user: Any, wire: Any) -> None:
        if hasattr(wire, "setsockopt"):  # paho's websocket has none
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_connect(self, client: Any, user: Any, flags: Any, code: ReasonCode, told: Any) -> None:
        self._connack, self.limits = code, self.limits.told(told)

    def _on_disconnect(self, client: Any, user: Any, flags: Any, code: ReasonCode, _: Any) -> None:
        self._lost = code

    def _on_subscribe(
        self, client: Any, user: Any, mid: int, codes: list[ReasonCode], _: Any
    ) -> None:
        self._subacks[mid] = codes

    def _on_publish(self, client: Any, user: Any, mid: int, code: ReasonCode, _: Any) -> None:
        self._acks.append((mid, code))

    def _on_message(self, client: Any, user: Any, message: paho.MQTTMessage) -> None:
        self.received.append(
            Received(
                message.topic,
                message.payload.decode("utf-8", "replace"),
                message.retain,
                getattr(message.properties, "ResponseTopic", None),
                getattr(message.properties, "CorrelationData", None),
            )
        )


def connect(
    settings: MqttSettings,
    client_id: str,
    will: Message | None,
    wakeup: SocketWakeup,
    last_worked: Protocol | None,
    limits: Limits = UNKNOWN,
) -> Connection:
    """Connect with the protocol of the settings; `auto` is MQTT 5, or else 3.1.1.

    What worked the last time is tried first, and a will that the broker takes. Raises as
    `Connection`.
    """

    def open_with(protocol: Protocol, will: Message | None = will) -> Connection:
        try:
            return Connection(settings, client_id, will, protocol, wakeup, limits)
        except WillRefusedError as refused:
            return open_with(protocol, refused.will)

    if settings.protocol != "auto":
        return open_with(settings.protocol)
    first: Protocol = last_worked or "5"
    try:
        return open_with(first)
    except VersionRefusedError:
        return open_with("3.1.1" if first == "5" else "5")
