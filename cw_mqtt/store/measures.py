"""Measures read back, and history written in bulk."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from sqlalchemy import Connection, Engine, bindparam, func, insert, select

from cw_mqtt.model import StoredMeasure
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.tables import measures, sensor_slugs

ROWS_AT_ONCE = 10_000
NIGHT, UNKNOWN = 1, -1  # as night_rate; 0 is day

Point = tuple[int, float, bool]  # timestamp in s, power in W, night

WHOLE_ROWS = select(
    measures.c.timestamp,
    measures.c.value,
    func.coalesce(measures.c.night_rate, UNKNOWN).label("night_rate"),
    measures.c.id,
).where(
    # the old base's columns may be empty
    measures.c.timestamp.is_not(None),
    measures.c.value.is_not(None),
)
OF_SENSOR = WHOLE_ROWS.where(measures.c.sensor_id == bindparam("sensor_id"))
OLDEST_FIRST = OF_SENSOR.order_by(measures.c.timestamp, measures.c.id)
NEWEST = OF_SENSOR.order_by(measures.c.timestamp.desc(), measures.c.id.desc()).limit(1)
ADDED = insert(measures)


def newest_measures(engine: Engine) -> dict[str, StoredMeasure]:
    """The newest measure of each sensor that has one, by slug."""
    newest = {}
    with transaction(engine) as connection:
        for slug, sensor_id in connection.execute(select(sensor_slugs)).all():
            row = connection.execute(NEWEST, {"sensor_id": sensor_id}).first()
            if row:
                ts, value_w, night_rate, measure_id = row
                newest[slug] = StoredMeasure(measure_id, sensor_id, ts, value_w, night_rate)
    return newest


def count_measures(engine: Engine) -> int:
    """How many measures there are, of all sensors."""
    with transaction(engine) as connection:
        return int(connection.execute(select(func.count()).select_from(measures)).scalar_one())


def history(connection: Connection, sensor_id: int) -> Iterator[Point]:
    """Every measure of a sensor in order of time, then id; read as it is consumed."""
    options = {"stream_results": True, "yield_per": ROWS_AT_ONCE}
    rows = connection.execute(OLDEST_FIRST, {"sensor_id": sensor_id}, execution_options=options)
    return ((ts, value_w, night_rate == NIGHT) for ts, value_w, night_rate, _ in rows)


def insert_history(
    engine: Engine,
    sensor_id: int,
    points: Iterable[Point],
    progress: Callable[[int], None],
) -> None:
    """Write measures in bulk, all or none.

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
            written += len(chunk)
            progress(written)
