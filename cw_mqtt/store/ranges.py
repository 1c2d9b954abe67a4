"""Ranges of one sensor's measures: the measures themselves, what they carry, their deletion.

Each measure carries the energy of the interval that ends at it (`measure/energy.py`). The
database adds that up, so that no row of a year becomes an object here.
"""

from typing import Any

from sqlalchemy import BigInteger, Connection, Select, bindparam, case, delete, func, select

from cw_mqtt.model import EnergySum, Key, Range, StoredMeasure
from cw_mqtt.store.measures import NIGHT, OF_SENSOR, WHOLE_ROWS
from cw_mqtt.store.tables import measures

MICROSECONDS = 1_000_000
ALL = 10**18  # more than there are measures, and later than any

column = measures.c
oldest_first = (column.timestamp, column.id)
newest_first = (column.timestamp.desc(), column.id.desc())


def whole(name: str) -> Any:
    """A parameter of 64 bits."""
    return bindparam(name, type_=BigInteger)


OF_IDS = WHOLE_ROWS.where(
    column.id >= whole("first"),
    column.id < whole("last"),
    # with its plain column SQLite would go through all measures of the sensor
    column.sensor_id + 0 == whole("sensor_id"),
)
OF_TIME = OF_SENSOR.where(
    column.timestamp >= whole("from_ts"), column.timestamp < whole("until_ts")
)
BEFORE_NEWEST = OF_SENSOR.order_by(*newest_first).offset(whole("skipped"))


def sums(number: Any) -> Select[Any]:
    """What the measures with a `number` in the range carry, in groups of `step` numbers.

    They are looked for between two times, of which the first is early enough for the measure
    before each of them.
    """
    rows = (
        OF_TIME.add_columns(
            func.lag(column.timestamp).over(order_by=oldest_first).label("previous_ts"),
            func.lag(column.value).over(order_by=oldest_first).label("previous_value"),
            number.label("number"),
        )
        .subquery()
        .c
    )
    interval_s = rows.timestamp - rows.previous_ts
    measured = interval_s.between(1, whole("max_gap_s"))
    energy_j = case((measured, (rows.previous_value + rows.value) / 2 * interval_s), else_=0.0)
    night = rows.night_rate == NIGHT
    group = ((rows.number - whole("first")) // whole("step")).label("group")
    return (
        select(
            group,
            func.count(),
            func.sum(case((measured, interval_s), else_=0)),
            func.sum(case((night, 0.0), else_=energy_j)),
            func.sum(case((night, energy_j), else_=0.0)),
            func.sum(case((night, 0.0), else_=rows.value)),
            func.sum(case((night, rows.value), else_=0.0)),
        )
        .where(rows.number >= whole("first"), rows.number < whole("last"))
        .group_by(group)
    )


# built once: building a statement takes longer than running it
LISTED = {
    Key.ID: OF_IDS.order_by(*oldest_first).limit(whole("most")),
    Key.POSITION: BEFORE_NEWEST.limit(whole("most")),
    Key.TIME: OF_TIME.order_by(*oldest_first).limit(whole("most")),
}
DELETED = {
    key: delete(measures).where(column.id.in_(listed.with_only_columns(column.id)))
    for key, listed in LISTED.items()
}
SUMS = {
    Key.ID: sums(column.id),
    Key.POSITION: sums(-func.row_number().over(order_by=newest_first)),
    Key.TIME: sums(column.timestamp * MICROSECONDS),
}
TIMES_OF_IDS = OF_IDS.with_only_columns(func.min(column.timestamp), func.max(column.timestamp))
TIME_OF_POSITION = BEFORE_NEWEST.with_only_columns(column.timestamp).limit(1)


def list_measures(connection: Connection, chosen: Range, most: int) -> list[StoredMeasure]:
    """The measures of a range in order of time, then id; no more than `most` of them."""
    rows = connection.execute(LISTED[chosen.key], bounds(chosen, most)).all()
    if chosen.key is Key.POSITION:
        rows = rows[::-1]
    return [
        StoredMeasure(measure_id, chosen.sensor_id, ts, value_w, night_rate)
        for ts, value_w, night_rate, measure_id in rows
    ]


def delete_measures(connection: Connection, chosen: Range) -> int:
    """Delete the measures of a range; how many there were."""
    return connection.execute(DELETED[chosen.key], bounds(chosen, ALL)).rowcount


def energy_sums(
    connection: Connection, chosen: Range, step: int, max_gap_s: float
) -> list[EnergySum | None]:
    """What each `step` of a range carries, from its start on; None where no measure is.

    The last step may be shorter. The sums of the steps add up to that of the range.
    """
    from_ts, until_ts = times(connection, chosen)
    longest_s = int(min(max_gap_s, ALL))
    numbers = {
        "sensor_id": chosen.sensor_id,
        "first": chosen.first,
        "last": chosen.last,
        "step": step,
        "max_gap_s": longest_s,
        # a measure that is longer ago adds nothing to the one after it
        "from_ts": from_ts - longest_s,
        "until_ts": until_ts,
    }
    found = {
        group: EnergySum(count, int(seconds), *energies_and_values)
        for group, count, seconds, *energies_and_values in connection.execute(
            SUMS[chosen.key], numbers
        )
    }
    return [found.get(group) for group in range(ceil_div(chosen.last - chosen.first, step))]


def times(connection: Connection, chosen: Range) -> tuple[int, int]:
    """Between which seconds, half open, the measures of a range are to be found.

    Positions are counted from the newest measure, so that theirs end with it.
    """
    numbers = bounds(chosen, ALL)
    if chosen.key is Key.TIME:
        return numbers["from_ts"], numbers["until_ts"]
    if chosen.key is Key.ID:
        first_ts, last_ts = connection.execute(TIMES_OF_IDS, numbers).one()
        return (0, 0) if first_ts is None else (first_ts, last_ts + 1)
    oldest = {"sensor_id": chosen.sensor_id, "skipped": -chosen.first - 1}
    first_ts = connection.execute(TIME_OF_POSITION, oldest).scalar()
    return -ALL if first_ts is None else first_ts, ALL


def bounds(chosen: Range, most: int) -> dict[str, int]:
    """The parameters of `LISTED` and `DELETED`; a bound within a second is that of the next one."""
    first, last = chosen.first, chosen.last
    return {
        "sensor_id": chosen.sensor_id,
        "first": first,
        "last": last,
        "from_ts": ceil_div(first, MICROSECONDS),
        "until_ts": ceil_div(last, MICROSECONDS),
        "skipped": -last,
        "most": min(most, last - first),
    }


def ceil_div(number: int, divisor: int) -> int:
    """The quotient, rounded up."""
    return -(-number // divisor)
