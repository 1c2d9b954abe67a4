"""What a broker takes: how large, how sure, how many at a time. Pure.

With MQTT 5 it says so itself (section 3.2.2.3). With 3.1.1 it breaks the connection off, and
which message that was for has to be found out.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from cw_mqtt.publish.topics import Message

Protocol = Literal["5", "3.1.1"]

MOST_UNACKED = 20  # what Mosquitto takes at a time


@dataclass(frozen=True, slots=True)
class Limits:
    """`packet_bytes` None: any. `unacked` is how many messages may wait for their acknowledgement.

    `fatal` has the sizes, by topic, from which on the connection ended. `slowly`: everything is
    acknowledged, one message after the other, to find these.
    """

    packet_bytes: int | None = None
    sure: bool = True
    retain: bool = True
    wildcards: bool = True
    unacked: int = MOST_UNACKED
    fatal: Mapping[str, int] = field(default_factory=dict)
    slowly: bool = False

    @property
    def window(self) -> int:
        """How many messages are sent before the first of them is acknowledged."""
        return 1 if self.slowly else self.unacked

    def told(self, properties: Any) -> "Limits":
        """These, and what a CONNACK's properties say."""
        unacked = getattr(properties, "ReceiveMaximum", MOST_UNACKED)
        return replace(
            self,
            packet_bytes=getattr(properties, "MaximumPacketSize", None),
            sure=getattr(properties, "MaximumQoS", 1) > 0,
            retain=getattr(properties, "RetainAvailable", 1) > 0,
            wildcards=getattr(properties, "WildcardSubscriptionAvailable", 1) > 0,
            unacked=min(unacked, MOST_UNACKED),
        )

    def fitted(self, message: Message, protocol: Protocol) -> Message:
        """A message as it can be sent, shorter if it has to be."""
        qos = (1 if self.slowly else message.qos) if self.sure else 0
        fitted = replace(message, qos=qos, retain=message.retain and self.retain)
        if fitted.shorter is not None and self.objection(fitted, protocol):
            return replace(fitted, payload=fitted.shorter)
        return fitted

    def objection(self, message: Message, protocol: Protocol) -> str | None:
        """Why the broker would not take a message."""
        size = packet_bytes(message, protocol)
        if size >= self.fatal.get(message.topic, math.inf):
            return (
                f"it closes the connection each time that these {size} bytes come; it may "
                "want smaller messages, or forbid the topic"
            )
        if self.packet_bytes is not None and size > self.packet_bytes:
            return f"it has {size} bytes, and the broker takes {self.packet_bytes} at most"
        return None

    def losses(self) -> Iterator[str]:
        """What cannot be had of this broker, and what follows."""
        if not self.retain:
            yield (
                "the broker keeps no retained messages: who subscribes later waits for the next "
                "value, and an energy total of a lost journal cannot be read back"
            )
        if not self.sure:
            yield "the broker acknowledges nothing (QoS 0 alone): a message may be lost unnoticed"


class Suspicion:
    """Finds the messages for which a broker ends the connection without saying so.

    `limits` is what the next connection has to keep to.
    """

    def __init__(self) -> None:
        self.limits = Limits()
        self._suspect: Message | None = None

    def broken(self, unanswered: Message | None, protocol: Protocol) -> None:
        """A young connection was broken off, with this as its largest unanswered message.

        The next one sends one message at a time; the one at which two in a row end is fatal.
        """
        same = unanswered and self._suspect and unanswered.topic == self._suspect.topic
        fatal = dict(self.limits.fatal)
        if unanswered and same and self.limits.slowly:
            fatal[unanswered.topic] = packet_bytes(unanswered, protocol)
        self._suspect = unanswered
        self.limits = replace(self.limits, fatal=fatal, slowly=unanswered is not None)

    def dispelled(self) -> None:
        """The broker has taken everything."""
        self._suspect, self.limits = None, replace(self.limits, slowly=False)


def packet_bytes(message: Message, protocol: Protocol) -> int:
    """The size of a message's PUBLISH packet, header and all."""
    body = 2 + len(message.topic.encode()) + len(message.payload.encode())
    body += 2 if message.qos else 0
    if protocol == "5":
        body += 1 if message.expiry_s is None else 6
        body += 0 if message.correlation is None else 3 + len(message.correlation)
    return 2 + sum(body >= 128**more for more in (1, 2, 3)) + body
