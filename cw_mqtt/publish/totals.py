"""The energy totals that the broker still holds from an earlier life of the bridge."""

import logging
import math
from collections.abc import Collection

from cw_mqtt.publish.client import Connection
from cw_mqtt.publish.kept import kept

log = logging.getLogger(__name__)


def retained_totals(connection: Connection, topics: Collection[str]) -> dict[str, float | None]:
    """The total in kWh that is retained under each topic; None where there is none of sense.

    Raises `ResourceAwayError` when the connection ends.
    """
    found = kept(connection, topics)
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
