"""What ranges of one sensor's measures carry, in groups, and all measures of each sensor.

What long groups carry comes from the rollups, and at their edges, and in the quarter hour that
is not over, from the measures. So an answer costs about the same for each group, however long
that is. It takes several statements, which must see the same: whoever calls gives them a
`snapshot`, or has the sensor locked.
"""

from dataclasses import replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Select,
    Subquery,
    case,
    cast,
    func,
    select,
    union_all,
)

from cw_mqtt.config.contract import DAY_TARIFF, NIGHT_TARIFF
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.model import Energy
from cw_mqtt.records import MICROSECONDS, EnergySum, Key, Range
from cw_mqtt.store.interval_energy import SUMS, added_up, carried
from cw_mqtt.store.measures import (
    COMPLETE_MEASURES,
    NEWEST,
    NEWEST_FIRST,
    OF_SENSOR,
    OF_TIME,
    int64,
)
from cw_mqtt.store.ranges import TIMES, bounds, ceil_div, first, last, until_ts, way
from cw_mqtt.store.rollups import ALL, BUILT_TS, FORM, QUARTER_S, SPANS_S, Mark, find_mark
from cw_mqtt.store.tables import measures, rollup_marks, rollups, sensor_slugs

column, cell, mark = measures.c, rollups.c, rollup_marks.c
step, thinned_ts, built_ts = map(int64, ("step", "thinned_ts", "built_ts"))

POSITION = -int64("counted") - func.row_number().over(order_by=NEWEST_FIRST)


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
    belongs to the group in which it begins. Measures that are in no cell yet are added.
    """
    day_s, *finer_spans_s = reversed(SPANS_S)
    in_range = (cell.start_ts >= int64("from_ts")) & (cell.start_ts < until_ts)
    parts = [cells_in_groups(day_s).where(in_range)]
    split = split_cells(day_s)
    for span_s in finer_spans_s:
        inside = (cell.start_ts >= split.c.start_ts) & (cell.start_ts < split.c.end_ts)
        parts.append(cells_in_groups(span_s).join_from(rollups, split, inside))
        split = split_cells(span_s)
    parts += [measures_in_groups(split), newest_in_groups()]
    return added_in_groups(union_all(*parts).subquery().c)


def cells_in_groups(span_s: int) -> Select[Any]:
    """The cells of a span that are in one group."""
    start = cell.start_ts * MICROSECONDS
    end = start + span_s * MICROSECONDS
    chosen = (start >= first) & (end <= last) & (group_of(start) == group_of(end - 1))
    if span_s == QUARTER_S:
        chosen |= (cell.start_ts < thinned_ts) & (start >= first) & (start < last)
    return in_groups(start, cell, chosen).where(
        cell.sensor_id == int64("sensor_id"), cell.span_s == span_s
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
    inside = (column.timestamp >= start_ts - int64("max_gap_s")) & (
        column.timestamp < split.c.end_ts
    )
    inside &= column.timestamp < built_ts
    rows = COMPLETE_MEASURES.join_from(measures, split, inside).add_columns(
        start_ts.label("split_ts")
    )
    each = carried(rows.where(column.sensor_id == int64("sensor_id")), among=start_ts).c
    at = each.timestamp * MICROSECONDS
    chosen = (each.timestamp >= each.split_ts) & (each.timestamp >= thinned_ts)
    return in_groups(at, each, chosen & (at >= first) & (at < last))


def newest_in_groups() -> Select[Any]:
    """What the measures carry that are in no cell yet."""
    rows = OF_SENSOR.where(
        column.timestamp >= int64("open_ts") - int64("max_gap_s"), column.timestamp < until_ts
    )
    each = carried(rows).c
    at = each.timestamp * MICROSECONDS
    chosen = (each.timestamp >= built_ts) & (at >= first) & (at < last)
    return in_groups(at, each, chosen)


def stored_in_all() -> Select[Any]:
    """The energy that all measures of each sensor carry, by slug, where the cells hold."""
    max_gap_s = int64("max_gap_s")
    holds = (mark.form == FORM) & (mark.max_gap_s == max_gap_s)
    open_ts = column.timestamp >= BUILT_TS - max_gap_s
    rows = COMPLETE_MEASURES.join_from(
        rollup_marks, measures, (column.sensor_id == mark.sensor_id) & open_ts
    ).add_columns(mark.sensor_id, BUILT_TS.label("built_ts"))
    each = carried(rows.where(holds), among=mark.sensor_id).c
    days = (cell.sensor_id == mark.sensor_id + 0) & (cell.span_s == SPANS_S[-1])
    parts = union_all(
        select(cell.sensor_id, cell.day_j, cell.night_j)
        .join_from(rollup_marks, rollups, days)
        .where(holds),
        select(each.sensor_id, each.day_j, each.night_j).where(each.timestamp >= each.built_ts),
    ).subquery()
    return (
        select(sensor_slugs.c.slug, func.sum(parts.c.day_j + parts.c.night_j))
        .join_from(sensor_slugs, parts, sensor_slugs.c.sensor_id == parts.c.sensor_id)
        .group_by(sensor_slugs.c.slug)
    )


# where a group begins or ends
edges = select(cast(first, BigInteger).label("at")).cte("edges", recursive=True)
EDGE = edges.union_all(
    select(case((edges.c.at + step < last, edges.c.at + step), else_=last)).where(edges.c.at < last)
).c.at

# built once: building a statement takes longer than running it
SUMS_OF = {
    Key.ID: from_measures(column.id),
    Key.POSITION: from_measures(POSITION),
    Key.TIME: from_measures(column.timestamp * MICROSECONDS),
}
SUMS_OF_TIME = from_rollups()
STORED_SUMS = stored_in_all()


def energy_sums(
    connection: Connection, chosen: Range, step: int, max_gap_s: int
) -> list[EnergySum | None]:
    """What each `step` of a range carries, from its start on; None where no measure is.

    The last step may be shorter. The sums of the steps add up to that of the range.
    Raises `ResourceAwayError` when the rollups are needed and are being computed anew.
    """
    numbers = bounds(connection, chosen, ALL) | {"step": step, "max_gap_s": max_gap_s}
    if chosen.key is not Key.TIME:
        first_ts, last_ts = connection.execute(TIMES[way(chosen)], numbers).one()
        if first_ts is None:
            return [None] * ceil_div(chosen.last - chosen.first, step)
        numbers = {"from_ts": first_ts, "until_ts": last_ts + 1} | numbers
    known = find_mark(connection, chosen.sensor_id)
    if chosen.key is Key.TIME and is_rolled_up(known, numbers["from_ts"], step, max_gap_s):
        open_ts = max(known.built_ts, numbers["from_ts"])
        numbers |= {"built_ts": known.built_ts, "thinned_ts": known.thinned_ts, "open_ts": open_ts}
        prefer_indexes(connection)
        rows = connection.execute(SUMS_OF_TIME, numbers)
    else:
        # a measure that is longer ago adds nothing to the one after it
        numbers["from_ts"] -= max_gap_s
        rows = connection.execute(SUMS_OF[chosen.key], numbers)
    found = {
        group: EnergySum(int(count), int(seconds), *others)
        for group, count, seconds, *others in rows
        if group is not None
    }
    return [found.get(group) for group in range(ceil_div(chosen.last - chosen.first, step))]


def stored_energy(connection: Connection, sensor_id: int, max_gap_s: int) -> Energy:
    """What all measures of a sensor carry, and its newest measure."""
    (found,) = energy_sums(connection, Range(sensor_id, Key.TIME, 0, ALL), ALL, max_gap_s)
    newest = connection.execute(NEWEST, {"sensor_id": sensor_id}).first()
    day_j, night_j = (found.day_j, found.night_j) if found else (0.0, 0.0)
    tariffs_j = {DAY_TARIFF: day_j, NIGHT_TARIFF: night_j}
    energy = Energy(total_j=day_j + night_j, tariffs_j=tariffs_j)
    return replace(energy, last_ts=newest[0], last_power_w=newest[1]) if newest else energy


def stored_sums(connection: Connection, max_gap_s: int) -> dict[str, float]:
    """The energy in J that all measures of each sensor carry, by slug."""
    prefer_indexes(connection)
    return dict(connection.execute(STORED_SUMS, {"max_gap_s": max_gap_s}).all())


def prefer_indexes(connection: Connection) -> None:
    """For the rest of the transaction, keep PostgreSQL from reading all measures.

    It expects a ninth of them in each split quarter hour, whatever the statistics say, and with
    a hundred million it takes that for the cheaper way.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_material = off"
        )


def is_rolled_up(known: Mark, from_ts: int, step: int, max_gap_s: int) -> bool:
    """Whether the rollups are to be used for groups of time of this `step`.

    Raises `ResourceAwayError` when they are needed, and are being computed anew.
    """
    thinned = from_ts < known.thinned_ts
    if known.holds(max_gap_s):
        return thinned or step >= QUARTER_S * MICROSECONDS
    if thinned:
        raise ResourceAwayError("the sums of this sensor are being recomputed; try again later")
    return False
