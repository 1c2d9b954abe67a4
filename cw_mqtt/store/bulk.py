"""Many measures at once."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from operator import itemgetter

from sqlalchemy import Connection, Engine, bindparam, select

from cw_mqtt.store.engine import transaction
from cw_mqtt.store.measures import ADDED, measure_row, whole
from cw_mqtt.store.rollups import refresh, stretches
from cw_mqtt.store.tables import measures

ROWS_AT_ONCE = 10_000

Point = tuple[int, float, bool]  # timestamp in s, power in W, night

# not from `WHOLE_ROWS`: its condition on the timestamp would make SQLite go through all of them
AT_TIMES = select(measures.c.timestamp, measures.c.value).where(
    measures.c.sensor_id == whole("sensor_id"),
    measures.c.timestamp.in_(bindparam("times", expanding=True)),
)


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
    rows = (measure_row(sensor_id, ts, w, night=night) for ts, w, night in points)
    written = 0
    with transaction(engine) as connection:
        while chunk := list(islice(rows, ROWS_AT_ONCE)):
            connection.execute(ADDED, chunk)
            times = [int(row["timestamp"]) for row in chunk]
            refresh(connection, {sensor_id: [(min(times), max(times))]}, max_gap_s)
            written += len(chunk)
            progress(written)


def add_missing(
    connection: Connection,
    sensor_id: int,
    points: Mapping[tuple[int, float], bool],
    max_gap_s: int,
) -> int:
    """Add those measures that are not there yet; how many.

    `points` are night flags by timestamp and power: a measure with the same two is the same, so
    that other night hours do not make others of them.
    """
    asked = {"sensor_id": sensor_id, "times": [ts for ts, _ in points]}
    there = {(ts, power_w) for ts, power_w in connection.execute(AT_TIMES, asked)}
    # of those of one second the order stays: the last of them begins the next interval
    missing = sorted((point for point in points if point not in there), key=itemgetter(0))
    if not missing:
        return 0
    rows = [measure_row(sensor_id, *point, night=points[point]) for point in missing]
    connection.execute(ADDED, rows)
    refresh(connection, {sensor_id: stretches([ts for ts, _ in missing])}, max_gap_s)
    return len(missing)
