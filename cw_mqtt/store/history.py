"""Long histories: measures as a stream, their sums between any instants, and many added at once."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice, pairwise, tee
from operator import itemgetter

from sqlalchemy import Connection, bindparam, func, select, union_all

from cw_mqtt.measure.tariff import Contract, Quarter
from cw_mqtt.records import MICROSECONDS, Cell, EnergySum, Key, PeriodTotal, Range, StoredMeasure
from cw_mqtt.store.engine import quickly
from cw_mqtt.store.measures import (
    ADD_MEASURE,
    OF_TIME,
    OLDEST_FIRST,
    int64,
    measure_row,
    stored_measure,
)
from cw_mqtt.store.rollups import QUARTER_S, refresh, stretches
from cw_mqtt.store.sums import energy_sums
from cw_mqtt.store.tables import measures, rollups, sensor_slugs, sensors

STREAMED_AT_ONCE = 2000
GROUPS_AT_ONCE = 2000

Period = tuple[int, int]  # from, until, in s

STREAM = OF_TIME.order_by(*OLDEST_FIRST).execution_options(yield_per=STREAMED_AT_ONCE)
OF_SENSOR = measures.c.sensor_id == int64("sensor_id"), measures.c.timestamp >= 0
QUARTERS = rollups.c.sensor_id == int64("sensor_id"), rollups.c.span_s == QUARTER_S
TIMES = union_all(
    *(
        select(function(ts).label("ts")).where(*chosen)
        # there are more quarter hours than measures where these are thinned out
        for ts, chosen in ((measures.c.timestamp, OF_SENSOR), (rollups.c.start_ts, QUARTERS))
        for function in (func.min, func.max)
    )
)

CELLS = (
    select(
        rollups.c.start_ts,
        rollups.c.seconds,
        (rollups.c.day_j + rollups.c.night_j).label("energy_j"),
        rollups.c.max_w,
    )
    .where(
        rollups.c.sensor_id == int64("sensor_id"),
        rollups.c.span_s == int64("span_s"),
        rollups.c.start_ts >= int64("from_ts"),
        rollups.c.start_ts < int64("until_ts"),
    )
    .order_by(rollups.c.start_ts)
)

# not from `COMPLETE_MEASURES`: there SQLite would go through all of them
AT_TIMES = select(measures.c.timestamp, measures.c.value).where(
    measures.c.sensor_id == int64("sensor_id"),
    measures.c.timestamp.in_(bindparam("times", expanding=True)),
)


def sensor_ids(connection: Connection) -> dict[str, int]:
    """The id of each sensor by its number, its name and its slug, of which the slug is last."""
    rows = connection.execute(select(sensors.c.id, sensors.c.name).order_by(sensors.c.id)).all()
    names = {str(i): i for i, _ in rows} | {name: i for i, name in rows if name}
    slugs: dict[str, int] = dict(connection.execute(select(sensor_slugs)).all())
    return names | slugs


def times(connection: Connection, sensor_id: int) -> Period | None:
    """When a sensor's oldest and newest measures are, also those that are thinned out."""
    found = connection.execute(TIMES, {"sensor_id": sensor_id}).scalars()
    known = [ts for ts in found if ts is not None]
    return (min(known), max(known)) if known else None


def stream(
    connection: Connection, sensor_id: int, from_ts: int, until_ts: int
) -> Iterator[StoredMeasure]:
    """A sensor's measures in order of time, few of them in memory at once."""
    between = {"sensor_id": sensor_id, "from_ts": from_ts, "until_ts": until_ts}
    for row in connection.execute(STREAM, between):
        yield stored_measure(sensor_id, row)


def sums_between(
    connection: Connection, sensor_id: int, edges: Iterable[int], max_gap_s: int
) -> Iterator[tuple[Period, EnergySum | None]]:
    """What is carried from each edge to the next; None where no measure is.

    Raises `ResourceAwayError` when the rollups are needed and are being computed anew.
    """
    for seconds, periods in groupby(pairwise(edges), key=lambda period: period[1] - period[0]):
        while some := list(islice(periods, GROUPS_AT_ONCE)):
            first, last = some[0][0] * MICROSECONDS, some[-1][1] * MICROSECONDS
            chosen = Range(sensor_id, Key.TIME, first, last)
            sums = energy_sums(connection, chosen, seconds * MICROSECONDS, max_gap_s)
            yield from zip(some, sums, strict=True)


def totals_between(
    connection: Connection,
    contract: Contract,
    sensor_id: int,
    edges: Iterable[int],
    max_gap_s: int,
) -> Iterator[PeriodTotal]:
    """What is used from each edge to the next, and what it costs.

    The one source of periods and costs: of the page, of exports and of the API. Raises as
    `sums_between`.
    """
    edges, parts_edges = tee(edges)
    parts = sums_between(connection, sensor_id, contract.cut(parts_edges), max_gap_s)
    for from_ts, until_ts in pairwise(edges):
        quarters, total = [], None
        for (start_ts, end_ts), found in parts:
            if found:
                quarters.append(Quarter(start_ts, found.day_j, found.night_j))
                total = total + found if total else found
            if end_ts == until_ts:
                break
        bill = contract.bill(quarters)
        charge = contract.standing_charge(from_ts, until_ts) if total else 0.0
        yield PeriodTotal(from_ts, until_ts, total, bill.energy_j, bill.cost, charge)


def cells_between(
    connection: Connection, sensor_id: int, span_s: int, from_ts: int, until_ts: int
) -> list[Cell]:
    """The quarter hours or hours (UTC) of a time that are over, without those not measured."""
    asked = {"sensor_id": sensor_id, "span_s": span_s, "from_ts": from_ts, "until_ts": until_ts}
    return [Cell._make(row) for row in quickly(connection, CELLS, asked)]


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
    connection.execute(ADD_MEASURE, rows)
    refresh(connection, {sensor_id: stretches([ts for ts, _ in missing])}, max_gap_s)
    return len(missing)
