"""Many measures at once."""

from collections.abc import Callable, Iterable
from itertools import islice

from sqlalchemy import Engine

from cw_mqtt.store.engine import transaction
from cw_mqtt.store.measures import ADDED
from cw_mqtt.store.rollups import refresh

ROWS_AT_ONCE = 10_000

Point = tuple[int, float, bool]  # timestamp in s, power in W, night


def insert_history(
    engine: Engine,
    sensor_id: int,
    points: Iterable[Point],
    max_gap_s: int,
    progress: Callable[[int], None],
) -> None:
    """Write measures before anything is published of their sensor, all or none.

    `progress` hears how many are written, after each ten thousand.
    """
    rows = (
        {"sensor_id": sensor_id, "timestamp": ts, "value": power_w, "night_rate": int(night)}
        for ts, power_w, night in points
    )
    written = 0
    with transaction(engine) as connection:
        while chunk := list(islice(rows, ROWS_AT_ONCE)):
            connection.execute(ADDED, chunk)
            times = [row["timestamp"] for row in chunk]
            refresh(connection, sensor_id, int(min(times)), int(max(times)), max_gap_s)
            written += len(chunk)
            progress(written)
