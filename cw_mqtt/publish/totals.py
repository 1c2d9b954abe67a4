"""The energy totals that the broker still holds from an earlier life of the bridge."""

import logging
import math
import time
from collections.abc import Collection

from cw_mqtt.publish.client import Connection

log = logging.getLogger(__name__)

RETAINED_WITHIN_S = 1.0  # some brokers send retained messages a while after the SUBACK


def retained_totals(connection: Connection, topics: Collection[str]) -> dict[str, float | None]:
    """The total in kWh that is retained under each topic; None where there is none of sense.

    Raises `ResourceAwayError` when the connection ends.
    """
    found: dict[str, str] = {}
    others = []
    connection.subscribe(sorted(topics))
    deadline_s = time.monotonic() + RETAINED_WITHIN_S
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
    return {topic: parse_total(topic, found.get(topic)) for topic in topics}


def parse_total(topic: str, payload: str | None) -> float | None:
    """The energy total in a retained message; None when there is none that makes sense."""
    if not payload:
        return None
    try:
        kwh = float(payload)
    except ValueError:
        kwh = math.nan
    if math.isfinite(kwh) and kwh >= 0:
        return kwh
    log.warning("the broker holds no energy total under %s but %.40r; ignored", topic, payload)
    return None
