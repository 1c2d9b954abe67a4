"""A second client of the broker, which sees what subscribers see."""

from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.program import Program
from tests.waiting import DEADLINE_S, wait_until


@dataclass(frozen=True)
class Seen:
    """One message as it came; `retained` if it was there before the subscription."""

    topic: str
    payload: str
    retained: bool


class Observer:
    """Subscribes to everything, and keeps what comes in order."""

    def __init__(self, broker: Program) -> None:
        self.seen: list[Seen] = []
        self._subscribed = False
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.connect(broker.host, broker.port)
        self._client.loop_start()
        wait_until(lambda: self._subscribed)

    def close(self) -> None:
        """Leave the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: str, *, retain: bool = False, qos: int = 1) -> None:
        """Publish as another client and wait until the broker has it (with `qos` 1)."""
        self._client.publish(topic, payload, qos, retain).wait_for_publish(DEADLINE_S)

    def payloads(self, topic: str) -> list[str]:
        """Every payload that came under a topic, in order."""
        return [seen.payload for seen in self.seen if seen.topic == topic]

    def last(self, topic: str) -> str | None:
        """The newest payload of a topic."""
        return next(reversed(self.payloads(topic)), None)

    def wait_for(self, topic: str, payload: str) -> None:
        """Wait until a payload is the newest of a topic."""
        wait_until(lambda: self.last(topic) == payload)

    def _on_subscribe(self, *_: Any) -> None:
        self._subscribed = True

    def _on_message(self, client: Any, user: Any, message: paho.MQTTMessage) -> None:
        self.seen.append(Seen(message.topic, message.payload.decode(), message.retain))
