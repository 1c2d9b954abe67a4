"""Statements about measures that others are made of."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Engine, bindparam, func, insert, select

from cw_mqtt.records import StoredMeasure
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.tables import measures

# of a measure itself, beside its sensor: other statements take them from here
COLUMNS = ("timestamp", "value", "night_rate", "id")
NIGHT, UNKNOWN = 1, -1  # as night_rate; 0 is day


def int64(name: str) -> Any:
    """A parameter of 64 bits."""
    return bindparam(name, type_=BigInteger)


COMPLETE_MEASURES = select(
    measures.c.timestamp,
    measures.c.value,
    func.coalesce(measures.c.night_rate, UNKNOWN).label("night_rate"),
    measures.c.id,
).where(
    # the old base's columns may be empty
    measures.c.timestamp.is_not(None),
    measures.c.value.is_not(None),
)
OF_SENSOR = COMPLETE_MEASURES.where(measures.c.sensor_id == int64("sensor_id"))
OF_TIME = OF_SENSOR.where(
    measures.c.timestamp >= int64("from_ts"), measures.c.timestamp < int64("until_ts")
)
OLDEST_FIRST = (measures.c.timestamp, measures.c.id)
NEWEST_FIRST = (measures.c.timestamp.desc(), measures.c.id.desc())
NEWEST = OF_SENSOR.order_by(*NEWEST_FIRST).limit(1)
ADD_MEASURE = insert(measures).values(
    {name: bindparam(name) for name in ("sensor_id", "timestamp", "value", "night_rate")}
)


def measure_row(sensor_id: int, ts: int, power_w: float, *, night: bool) -> dict[str, float]:
    """A measure as `ADD_MEASURE` takes it."""
    return {"sensor_id": sensor_id, "timestamp": ts, "value": power_w, "night_rate": int(night)}


def stored_measure(sensor_id: int, row: Sequence[Any]) -> StoredMeasure:
    """A row of `COMPLETE_MEASURES` as a measure."""
    ts, value_w, night_rate, measure_id = row
    return StoredMeasure(measure_id, sensor_id, ts, value_w, night_rate)


def count_all_measures(engine: Engine) -> int:
    """How many measures there are, of all sensors."""
    with transaction(engine) as connection:
        return int(connection.execute(select(func.count()).select_from(measures)).scalar_one())
