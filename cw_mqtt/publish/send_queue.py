"""Messages on their way to the broker: those that wait, and those not acknowledged. Pure."""

import math

from cw_mqtt.publish.topics import Message


class SendQueue:
    """While the broker is behind, the newest message of each topic waits.

    Messages in flight are known by the number that MQTT gives them.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, Message] = {}
        self._in_flight: dict[int, tuple[float, Message]] = {}

    def __len__(self) -> int:
        return len(self._waiting) + len(self._in_flight)

    @property
    def behind(self) -> bool:
        """Whether a message waits to be sent."""
        return bool(self._waiting)

    def put(self, message: Message) -> None:
        """Have a message sent; it keeps the place of an older one of its topic that waits."""
        self._waiting[message.topic] = message

    def take(self, window: int) -> Message | None:
        """The next message to send, unless so many as the `window` are in flight."""
        if not self._waiting or len(self._in_flight) >= window:
            return None
        return self._waiting.pop(next(iter(self._waiting)))

    def sent(self, number: int, message: Message, now_s: float) -> None:
        """The message is in flight from now on."""
        self._in_flight[number] = now_s, message

    def acked(self, number: int) -> Message:
        """Take out a message that the broker has acknowledged."""
        return self._in_flight.pop(number)[1]

    def owing_s(self, now_s: float) -> float:
        """The age of the oldest message in flight; minus infinity when there is none."""
        return now_s - next((sent_s for sent_s, _ in self._in_flight.values()), math.inf)

    def largest(self) -> Message | None:
        """The largest of the messages in flight."""
        messages = (message for _, message in self._in_flight.values())
        return max(messages, key=lambda message: len(message.payload), default=None)
