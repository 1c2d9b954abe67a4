"""Ranges of one sensor's measures: which measures are in them, by time, id or position.

By position takes several statements, which must see the same: whoever calls gives them a
`snapshot`, or has the sensor locked.
"""

from typing import Any

from sqlalchemy import Connection, Select, func, or_, select

from cw_mqtt.records import MICROSECONDS, Key, Range, StoredMeasure
from cw_mqtt.store.engine import quickly
from cw_mqtt.store.measures import (
    COMPLETE_MEASURES,
    NEWEST_FIRST,
    OF_SENSOR,
    OF_TIME,
    OLDEST_FIRST,
    int64,
    stored_measure,
)
from cw_mqtt.store.rollups import ALL, FORM, SPANS_S, find_mark
from cw_mqtt.store.tables import measures, rollups

column, cell = measures.c, rollups.c
first, last, until_ts = map(int64, ("first", "last", "until_ts"))

MANY_IDS = 100_000  # from here on, to go through the sensor's measures is the shorter way
OF_IDS = COMPLETE_MEASURES.where(column.id >= first, column.id < last)
# with its plain column SQLite would go through all measures of the sensor
OF_FEW_IDS = OF_IDS.where(column.sensor_id + 0 == int64("sensor_id"))
OF_MANY_IDS = OF_IDS.where(column.sensor_id == int64("sensor_id"))
BACKWARDS = OF_SENSOR.where(column.timestamp < until_ts).order_by(*NEWEST_FIRST)

# built once: building a statement takes longer than running it
LISTED: dict[Key | int, Select[Any]] = {
    Key.ID: OF_FEW_IDS.order_by(*OLDEST_FIRST).limit(int64("most")),
    MANY_IDS: OF_MANY_IDS.order_by(*OLDEST_FIRST).limit(int64("most")),
    Key.POSITION: BACKWARDS.offset(int64("skipped")).limit(int64("most")),
    Key.TIME: OF_TIME.order_by(*OLDEST_FIRST).limit(int64("most")),
}
# by ids that are looked up first PostgreSQL would go through all measures
CHOSEN: dict[Key | int, Any] = {
    Key.ID: OF_FEW_IDS.whereclause,
    MANY_IDS: OF_MANY_IDS.whereclause,
    Key.POSITION: column.id.in_(LISTED[Key.POSITION].with_only_columns(column.id)),
    Key.TIME: OF_TIME.whereclause,
}
TIMES = {
    key: select(func.min(column.timestamp), func.max(column.timestamp)).where(chosen)
    for key, chosen in CHOSEN.items()
}
LISTED_AFTER = LISTED[Key.TIME].where(
    or_(column.timestamp > int64("after_ts"), column.id > int64("after_id"))
)
COUNTED = select(func.count()).select_from(OF_TIME.limit(int64("most")).subquery())
CELLS_BACKWARDS = (
    select(cell.start_ts, cell.measures)
    .where(cell.sensor_id == int64("sensor_id"), cell.span_s == int64("span_s"))
    .where(cell.start_ts >= int64("from_ts"), cell.start_ts < until_ts)
    .order_by(cell.start_ts.desc())
)


def list_measures(connection: Connection, chosen: Range, most: int) -> list[StoredMeasure]:
    """The measures of a range in order of time, then id; no more than `most` of them."""
    rows = quickly(connection, LISTED[way(chosen)], bounds(connection, chosen, most))
    if chosen.key is Key.POSITION:
        rows = rows[::-1]
    return [stored_measure(chosen.sensor_id, row) for row in rows]


def list_after(
    connection: Connection, chosen: Range, last: StoredMeasure | None, most: int
) -> list[StoredMeasure]:
    """The next measures of a range of time, after the `last` one that was listed."""
    numbers = bounds(connection, chosen, most)
    numbers |= {"after_ts": numbers["from_ts"] - 1, "after_id": 0}
    if last:
        numbers |= {"from_ts": last.timestamp, "after_ts": last.timestamp, "after_id": last.id}
    rows = quickly(connection, LISTED_AFTER, numbers)
    return [stored_measure(chosen.sensor_id, row) for row in rows]


def count_measures(connection: Connection, chosen: Range, most: int) -> int:
    """How many measures a range of time has, counted no further than `most`."""
    return int(connection.execute(COUNTED, bounds(connection, chosen, most)).scalar_one())


def way(chosen: Range) -> Key | int:
    """How a range is looked up."""
    many = chosen.key is Key.ID and chosen.last - chosen.first > MANY_IDS
    return MANY_IDS if many else chosen.key


def bounds(connection: Connection, chosen: Range, most: int) -> dict[str, int]:
    """The parameters of `LISTED`; a bound within a second is that of the next one."""
    numbers = {
        "sensor_id": chosen.sensor_id,
        "first": chosen.first,
        "last": chosen.last,
        "most": most,
    }
    if chosen.key is Key.TIME:
        seconds = ceil_div(chosen.first, MICROSECONDS), ceil_div(chosen.last, MICROSECONDS)
        return numbers | dict(zip(("from_ts", "until_ts"), seconds, strict=True))
    if chosen.key is Key.POSITION:
        until_ts, counted = edge_before(connection, chosen.sensor_id, -chosen.last)
        numbers |= {"until_ts": until_ts, "counted": counted, "skipped": -chosen.last - counted}
    return numbers | {"most": min(most, chosen.last - chosen.first)}


def edge_before(connection: Connection, sensor_id: int, skipped: int) -> tuple[int, int]:
    """A time that at most `skipped` of the newest measures are not before, and how many are not.

    It is the start of a quarter hour, found by how many measures the cells have. To skip none of
    them, which is asked most, nothing has to be counted.
    """
    if skipped == 0:
        return ALL, 0
    known = find_mark(connection, sensor_id)
    numbers = {"sensor_id": sensor_id, "from_ts": known.built_ts, "until_ts": ALL}
    numbers["most"] = skipped + 1
    until_ts, counted = known.built_ts, connection.execute(COUNTED, numbers).scalar_one()
    if known.form != FORM or counted > skipped:
        return ALL, 0
    from_ts = known.thinned_ts
    for span_s in reversed(SPANS_S):
        numbers |= {"span_s": span_s, "from_ts": from_ts, "until_ts": until_ts}
        for from_ts, count in connection.execute(CELLS_BACKWARDS, numbers):
            if counted + count > skipped:
                break
            until_ts, counted = from_ts, counted + count
        else:
            break
    return until_ts, counted


def ceil_div(number: int, divisor: int) -> int:
    """The quotient, rounded up."""
    return -(-number // divisor)
