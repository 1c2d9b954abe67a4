"""Ranges of one sensor's measures: the measures themselves, what they carry, their deletion.

What long groups carry comes from the rollups, and at their edges from the measures. So an
answer costs about the same for each group, however long that is.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Select,
    Subquery,
    case,
    cast,
    delete,
    func,
    select,
    union_all,
)

from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.model import EnergySum, Key, Range, StoredMeasure
from cw_mqtt.store.carried import SUMS, added_up, carried
from cw_mqtt.store.measures import (
    NEWEST_FIRST,
    OF_SENSOR,
    OF_TIME,
    OLDEST_FIRST,
    WHOLE_ROWS,
    stored_measure,
    whole,
)
from cw_mqtt.store.rollups import ALL, QUARTER_S, SPANS_S, Mark, find_mark, lock, refresh
from cw_mqtt.store.tables import measures, rollups

MICROSECONDS = 1_000_000

column, cell = measures.c, rollups.c
first, last, step, thinned_ts = map(whole, ("first", "last", "step", "thinned_ts"))

OF_IDS = WHOLE_ROWS.where(
    column.id >= first,
    column.id < last,
    # with its plain column SQLite would go through all measures of the sensor
    column.sensor_id + 0 == whole("sensor_id"),
)
BEFORE_NEWEST = OF_SENSOR.order_by(*NEWEST_FIRST).offset(whole("skipped"))


def group_of(number: Any) -> Any:
    """Which group a number is in: `step` numbers from `first` on, the next `step`, and so on."""
    return (number - first) // step


def in_groups(number: Any, sums: Any, chosen: Any) -> Select[Any]:
    """These sums with the group of their `number`, which is null unless they are `chosen`.

    As a condition it would make PostgreSQL expect a single row, and choose a way that is slow
    for thousands.
    """
    group = case((chosen, group_of(number))).label("group")
    return select(group, *(sums[name] for name in SUMS))


def added_in_groups(rows: Any) -> Select[Any]:
    """The sum of each group, from those of its parts."""
    return select(rows.group, *added_up(rows)).group_by(rows.group)


def from_measures(number: Any) -> Select[Any]:
    """What each group carries, from the measures that have such a `number` in the range.

    They are looked for between two times, of which the first is early enough for the measure
    before each of them.
    """
    each = carried(OF_TIME.add_columns(number.label("number"))).c
    in_range = (each.number >= first) & (each.number < last)
    return added_in_groups(in_groups(each.number, each, in_range).subquery().c)


def from_rollups() -> Select[Any]:
    """What each group of time carries, from the coarsest cells that are in one group as a whole.

    A cell is split if a group begins or ends within it. In its place come the finer ones, and
    in the place of a split quarter hour its measures; where these are thinned out, all of it
    belongs to the group in which it begins.
    """
    day_s, *finer_spans_s = reversed(SPANS_S)
    in_range = (cell.start_ts >= whole("from_ts")) & (cell.start_ts < whole("until_ts"))
    parts = [cells_in_groups(day_s).where(in_range)]
    split = split_cells(day_s)
    for span_s in finer_spans_s:
        inside = (cell.start_ts >= split.c.start_ts) & (cell.start_ts < split.c.end_ts)
        parts.append(cells_in_groups(span_s).join_from(rollups, split, inside))
        split = split_cells(span_s)
    return added_in_groups(union_all(*parts, measures_in_groups(split)).subquery().c)


def cells_in_groups(span_s: int) -> Select[Any]:
    """The cells of a span that are in one group."""
    start = cell.start_ts * MICROSECONDS
    end = start + span_s * MICROSECONDS
    chosen = (start >= first) & (end <= last) & (group_of(start) == group_of(end - 1))
    if span_s == QUARTER_S:
        chosen |= (cell.start_ts < thinned_ts) & (start >= first) & (start < last)
    return in_groups(start, cell, chosen).where(
        cell.sensor_id == whole("sensor_id"), cell.span_s == span_s
    )


def split_cells(span_s: int) -> Subquery:
    """Where the split cells of a span begin and end, in seconds."""
    span = span_s * MICROSECONDS
    start_ts = EDGE // span * span_s
    split = select(start_ts.label("start_ts"), (start_ts + span_s).label("end_ts"))
    return split.where(EDGE % span != 0).distinct().subquery()


def measures_in_groups(split: Subquery) -> Select[Any]:
    """What the measures in split quarter hours carry."""
    start_ts = split.c.start_ts
    inside = (column.timestamp >= start_ts - whole("max_gap_s")) & (
        column.timestamp < split.c.end_ts
    )
    rows = WHOLE_ROWS.join_from(measures, split, inside).add_columns(start_ts.label("split_ts"))
    each = carried(rows.where(column.sensor_id == whole("sensor_id")), among=start_ts).c
    at = each.timestamp * MICROSECONDS
    chosen = (each.timestamp >= each.split_ts) & (each.timestamp >= thinned_ts)
    return in_groups(at, each, chosen & (at >= first) & (at < last))


# where a group begins or ends
edges = select(cast(first, BigInteger).label("at")).cte("edges", recursive=True)
EDGE = edges.union_all(
    select(case((edges.c.at + step < last, edges.c.at + step), else_=last)).where(edges.c.at < last)
).c.at

# built once: building a statement takes longer than running it
LISTED = {
    Key.ID: OF_IDS.order_by(*OLDEST_FIRST).limit(whole("most")),
    Key.POSITION: BEFORE_NEWEST.limit(whole("most")),
    Key.TIME: OF_TIME.order_by(*OLDEST_FIRST).limit(whole("most")),
}
CHOSEN = {key: column.id.in_(listed.with_only_columns(column.id)) for key, listed in LISTED.items()}
DELETED = {key: delete(measures).where(chosen) for key, chosen in CHOSEN.items()}
TIMES = {
    key: select(func.min(column.timestamp), func.max(column.timestamp)).where(chosen)
    for key, chosen in CHOSEN.items()
}
SUMS_OF = {
    Key.ID: from_measures(column.id),
    Key.POSITION: from_measures(-func.row_number().over(order_by=NEWEST_FIRST)),
    Key.TIME: from_measures(column.timestamp * MICROSECONDS),
}
SUMS_OF_TIME = from_rollups()


def list_measures(connection: Connection, chosen: Range, most: int) -> list[StoredMeasure]:
    """The measures of a range in order of time, then id; no more than `most` of them."""
    rows = connection.execute(LISTED[chosen.key], bounds(chosen, most)).all()
    if chosen.key is Key.POSITION:
        rows = rows[::-1]
    return [stored_measure(chosen.sensor_id, row) for row in rows]


def delete_measures(connection: Connection, chosen: Range, max_gap_s: int) -> int:
    """Delete the measures of a range; how many there were."""
    numbers = bounds(chosen, ALL)
    first_ts, last_ts = connection.execute(TIMES[chosen.key], numbers).one()
    if first_ts is None:
        return 0
    deleted = connection.execute(DELETED[chosen.key], numbers).rowcount
    refresh(connection, lock(connection, chosen.sensor_id), first_ts, last_ts, max_gap_s)
    return deleted


def energy_sums(
    connection: Connection, chosen: Range, step: int, max_gap_s: int
) -> list[EnergySum | None]:
    """What each `step` of a range carries, from its start on; None where no measure is.

    The last step may be shorter. The sums of the steps add up to that of the range.
    Raises `ResourceAwayError` when the rollups are needed and are being computed anew.
    """
    from_ts, until_ts = times(connection, chosen)
    numbers = {
        "sensor_id": chosen.sensor_id,
        "first": chosen.first,
        "last": chosen.last,
        "step": step,
        "max_gap_s": max_gap_s,
        "until_ts": until_ts,
    }
    mark = find_mark(connection, chosen.sensor_id)
    if chosen.key is Key.TIME and is_rolled_up(mark, from_ts, until_ts, step, max_gap_s):
        numbers |= {"from_ts": from_ts, "thinned_ts": mark.thinned_ts}
        prefer_indexes(connection)
        rows = connection.execute(SUMS_OF_TIME, numbers)
    else:
        # a measure that is longer ago adds nothing to the one after it
        rows = connection.execute(SUMS_OF[chosen.key], numbers | {"from_ts": from_ts - max_gap_s})
    found = {
        group: EnergySum(int(count), int(seconds), *others)
        for group, count, seconds, *others in rows
        if group is not None
    }
    return [found.get(group) for group in range(ceil_div(chosen.last - chosen.first, step))]


def prefer_indexes(connection: Connection) -> None:
    """For the rest of the transaction, keep PostgreSQL from reading all measures.

    It expects a ninth of them in each split quarter hour, whatever the statistics say, and with
    a hundred million it takes that for the cheaper way.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_material = off"
        )


def is_rolled_up(mark: Mark, from_ts: int, until_ts: int, step: int, max_gap_s: int) -> bool:
    """Whether the rollups are to be used for groups of time of this `step`.

    Raises `ResourceAwayError` when they are needed, and are being computed anew.
    """
    thinned = from_ts < mark.thinned_ts
    if mark.holds(max_gap_s, until_ts):
        return thinned or step >= QUARTER_S * MICROSECONDS
    if thinned:
        raise ResourceAwayError("the sums of this sensor are being computed anew; ask again later")
    return False


def times(connection: Connection, chosen: Range) -> tuple[int, int]:
    """Between which seconds, half open, the measures of a range are to be found.

    Positions are counted from the newest measure, so that theirs end with it.
    """
    numbers = bounds(chosen, ALL)
    if chosen.key is Key.TIME:
        return numbers["from_ts"], numbers["until_ts"]
    first_ts, last_ts = connection.execute(TIMES[chosen.key], numbers).one()
    if first_ts is None:
        return 0, 0
    return first_ts, ALL if chosen.key is Key.POSITION else last_ts + 1


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
        "most": most if chosen.key is Key.TIME else min(most, last - first),
    }


def ceil_div(number: int, divisor: int) -> int:
    """The quotient, rounded up."""
    return -(-number // divisor)
