"""Statements about measures that others are made of."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Engine, bindparam, func, insert, select

from cw_mqtt.records import StoredMeasure
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.tables import measures

NIGHT, UNKNOWN = 1, -1  # as night_rate; 0 is day


def whole(name: str) -> Any:
    """A parameter of 64 bits."""
    return bindparam(name, type_=BigInteger)


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
OF_SENSOR = WHOLE_ROWS.where(measures.c.sensor_id == whole("sensor_id"))
OF_TIME = OF_SENSOR.where(
    measures.c.timestamp >= whole("from_ts"), measures.c.timestamp < whole("until_ts")
)
OLDEST_FIRST = (measures.c.timestamp, measures.c.id)
NEWEST_FIRST = (measures.c.timestamp.desc(), measures.c.id.desc())
NEWEST = OF_SENSOR.order_by(*NEWEST_FIRST).limit(1)
ADDED = insert(measures).values(
    {name: bindparam(name) for name in ("sensor_id", "timestamp", "value", "night_rate")}
)


def measure_row(sensor_id: int, ts: int, power_w: float, *, night: bool) -> dict[str, float]:
    """A measure as `ADDED` takes it."""
    return {"sensor_id": sensor_id, "timestamp": ts, "value": power_w, "night_rate": int(night)}


def stored_measure(sensor_id: int, row: Sequence[Any]) -> StoredMeasure:
    """A row of `WHOLE_ROWS` as a measure."""
    ts, value_w, night_rate, measure_id = row
    return StoredMeasure(measure_id, sensor_id, ts, value_w, night_rate)


def count_measures(engine: Engine) -> int:
    """How many measures there are, of all sensors."""
    with transaction(engine) as connection:
        return int(connection.execute(select(func.count()).select_from(measures)).scalar_one())
