"""What the broker keeps under topics of ours."""

import time
from collections.abc import Collection, Iterable

from cw_mqtt.publish.client import Connection
from cw_mqtt.publish.topics import Message

KEPT_WITHIN_S = 1.0  # some brokers send retained messages a while after the SUBACK
NOT_GIVEN_BACK = (
    "it cannot be read back, and MQTT 3.1.1 does not tell whether it was refused, for its size or "
    "the broker's access rules, or only may not be read; try MQTT 5, or discovery.style: entity"
)


def kept(connection: Connection, topics: Collection[str]) -> dict[str, str]:
    """What is retained under each of these topics.

    Raises `ResourceAwayError` when the connection ends.
    """
    found: dict[str, str] = {}
    others = []
    connection.subscribe(sorted(topics))
    deadline_s = time.monotonic() + KEPT_WITHIN_S
    while True:
        while connection.received:
            received = connection.received.popleft()
            if received.topic not in topics:
                others.append(received)
            elif received.retained:
                found[received.topic] = received.payload
        left_s = deadline_s - time.monotonic()
        if found.keys() >= set(topics) or left_s <= 0:
            break
        connection.work(left_s)
    connection.unsubscribe(sorted(topics))
    connection.received.extend(others)
    return found


def read_back(connection: Connection, messages: Iterable[Message]) -> None:
    """Look whether retained messages have arrived: MQTT 3.1.1 acknowledges what it throws away."""
    if connection.protocol == "5" or not connection.limits.retain:
        return
    wanted = {m.topic: m.payload for m in messages if m.topic not in connection.refused}
    found = kept(connection, wanted) if wanted else {}
    for topic in wanted:
        if found.get(topic) != wanted[topic]:
            connection.refused[topic] = NOT_GIVEN_BACK
