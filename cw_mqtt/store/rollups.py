"""Rollups: what the measures of each quarter hour, hour and day (UTC) carry together.

They are never added to: whoever changes measures that are in cells has these computed anew from
the measures, in the same transaction. So a cell depends on the measures alone, and not on the
way they came. Measures of the quarter hour that is not over yet are in no cell; whoever adds up
adds them himself. A cell without measures has no row; there are none for the years before 1970.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Select,
    bindparam,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)

from cw_mqtt.config.values import DAY_S
from cw_mqtt.store.engine import begin_writing, quickly, transaction
from cw_mqtt.store.interval_energy import added_up, carried
from cw_mqtt.store.measures import COMPLETE_MEASURES, int64
from cw_mqtt.store.tables import measures, rollup_marks, rollups, sensors

SPANS_S = (900, 3600, DAY_S)  # each a multiple of the one before
QUARTER_S = SPANS_S[0]
FORM = 1  # to be raised when cells come to mean something else: then all are computed anew
FORGOTTEN = 0
BUILD_STEP_S = 32 * DAY_S
ALL = 10**18  # later than any measure, and more than there are

Period = tuple[int, int]  # the first and the last time

cell, mark, measure = rollups.c, rollup_marks.c, measures.c


LAST_CELL_END = (
    select(cell.start_ts + QUARTER_S)
    .where(cell.sensor_id == mark.sensor_id, cell.span_s == QUARTER_S)
    .order_by(cell.start_ts.desc())
    .limit(1)
    .correlate(rollup_marks)
    .scalar_subquery()
)
BUILT_TS = func.coalesce(LAST_CELL_END, mark.thinned_ts)
OPEN_TS = (
    select(measure.timestamp)
    .where(measure.sensor_id == mark.sensor_id, measure.timestamp >= BUILT_TS)
    .where(measure.value.is_not(None))
    .order_by(measure.timestamp)
    .limit(1)
    .correlate(rollup_marks)
    .scalar_subquery()
)


class Statements:
    """Statements about the cells of sensors; `of_sensors` says whether a column is one of them.

    Built once: building a statement takes longer than running it.
    """

    def __init__(self, of_sensors: Callable[[Any], Any]) -> None:
        self._of_sensors = of_sensors
        measured = COMPLETE_MEASURES.add_columns(measure.sensor_id).where(
            of_sensors(measure.sensor_id),
            measure.timestamp >= int64("from_ts"),
            measure.timestamp < int64("until_ts"),
        )
        self.each = each = carried(measured, among=measure.sensor_id).c
        begun = each.timestamp >= int64(f"first_{QUARTER_S}")
        computed = [cells_of(QUARTER_S, each.timestamp, each, begun)] + [
            cells_of(span_s, cell.start_ts, cell, self.cells_between(finer_s, span_s))
            for finer_s, span_s in pairwise(SPANS_S)
        ]
        self.add = [insert(rollups).from_select(cell.keys(), cells) for cells in computed]
        self.remove = delete(rollups).where(or_(*(self.cells_between(s, s) for s in SPANS_S)))
        self.marks = select(rollup_marks, BUILT_TS, OPEN_TS).where(of_sensors(mark.sensor_id))
        self.lock = (
            select(mark.sensor_id)
            .where(of_sensors(mark.sensor_id))
            .order_by(mark.sensor_id)
            .with_for_update()
        )
        unmarked = of_sensors(sensors.c.id) & sensors.c.id.not_in(select(mark.sensor_id))
        new = select(sensors.c.id, literal(FORM), int64("max_gap_s"), literal(0)).where(unmarked)
        self.add_marks = insert(rollup_marks).from_select(mark.keys(), new)

    def run(self, connection: Connection, statement: Any, asked: Mapping[str, Any]) -> Any:
        """Execute one of these statements."""
        if self is OF_ONE:
            return quickly(connection, statement, asked)
        return connection.execute(statement, asked)

    def cells_between(self, span_s: int, bounds_s: int) -> Any:
        """The cells of a span in the time that is computed: whole cells of `bounds_s`."""
        return (
            self._of_sensors(cell.sensor_id)
            & (cell.span_s == span_s)
            & (cell.start_ts >= int64(f"first_{bounds_s}"))
            & (cell.start_ts < int64(f"until_{bounds_s}"))
        )


def cells_of(span_s: int, ts: Any, sums: Any, chosen: Any) -> Select[Any]:
    """The cells of a span, computed from the `chosen` ones of `sums`, each of which is at `ts`."""
    start_ts = (ts - ts % span_s).label("start_ts")
    cells = select(sums.sensor_id, literal(span_s), start_ts, *added_up(sums))
    return cells.where(chosen).group_by(sums.sensor_id, start_ts)


# an `IN` is written anew each time, which takes as long as the rest
OF_ONE = Statements(lambda column: column == int64("sensor_id"))
OF_MANY = Statements(lambda column: column.in_(bindparam("sensor_ids", expanding=True)))

CHANGE_MARK = update(rollup_marks).where(mark.sensor_id == int64("of_sensor"))
SENSORS = select(sensors.c.id).order_by(sensors.c.id)
OF_SENSOR = measure.sensor_id == int64("sensor_id")
NEXT_TS = select(func.min(measure.timestamp)).where(
    OF_SENSOR, measure.timestamp >= int64("from_ts")
)
NEWEST_TS = select(func.max(measure.timestamp)).where(OF_SENSOR)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a sensor's cells hold.

    They were computed with `max_gap_s` as the longest interval, and have all measures before
    `built_ts`, where the last of them ends; `open_ts` is the first measure after that. Before
    `thinned_ts`, the start of a day, the measures themselves are gone.
    """

    sensor_id: int
    form: int = FORM
    max_gap_s: int = 0
    thinned_ts: int = 0
    built_ts: int = 0
    open_ts: int | None = None

    def with_measure(self, ts: int) -> "Mark":
        """The mark after a measure was added."""
        if ts < self.built_ts or (self.open_ts is not None and self.open_ts <= ts):
            return self
        return replace(self, open_ts=ts)

    def holds(self, max_gap_s: int) -> bool:
        """Whether the cells may be used."""
        return (self.form, self.max_gap_s) == (FORM, max_gap_s)


def find_mark(connection: Connection, sensor_id: int) -> Mark:
    """A sensor's mark; one that says nothing while there is none."""
    rows = quickly(connection, OF_ONE.marks, {"sensor_id": sensor_id})
    return Mark(*rows[0]) if rows else Mark(sensor_id)


def lock(connection: Connection, sensor_ids: Collection[int], max_gap_s: int) -> list[Mark]:
    """Keep all others from changing these sensors' cells until the transaction ends; their marks.

    All are locked at once, in order; there are none of sensors that do not exist. Measures may be
    changed before: what others have changed is seen after it.
    """
    begin_writing(connection)
    statements, asked = of_sensors(sensor_ids)
    if connection.dialect.name == "postgresql":
        statements.run(connection, statements.lock, asked)
    marks = [Mark(*row) for row in statements.run(connection, statements.marks, asked)]
    if len(marks) < len(sensor_ids):
        connection.execute(statements.add_marks, asked | {"max_gap_s": max_gap_s})
        marks = [Mark(*row) for row in statements.run(connection, statements.marks, asked)]
    return marks


def of_sensors(sensor_ids: Collection[int]) -> tuple[Statements, dict[str, Any]]:
    """The statements for these sensors, and the parameter that names them."""
    if len(sensor_ids) == 1:
        return OF_ONE, {"sensor_id": next(iter(sensor_ids))}
    return OF_MANY, {"sensor_ids": list(sensor_ids)}


def refresh(
    connection: Connection, changed: Mapping[int, Iterable[Period]], max_gap_s: int
) -> None:
    """Compute the cells anew after measures came or went; `changed` says when, for each sensor.

    What is over by then gets its cells too. Those whose measures are thinned out stay as they
    are. Cells that do not hold are left to `build`.
    """
    refresh_locked(connection, lock(connection, changed, max_gap_s), changed, max_gap_s)


def refresh_locked(
    connection: Connection,
    marks: Iterable[Mark],
    changed: Mapping[int, Iterable[Period]],
    max_gap_s: int,
) -> None:
    """As `refresh`, of sensors that are locked; `marks` are as after the change."""
    alike = defaultdict(list)
    for found in marks:
        periods = list(changed[found.sensor_id]) if found.holds(max_gap_s) else []
        # the measure after the last one carries something else now
        times = [(first, min(last + max_gap_s + 1, found.built_ts)) for first, last in periods]
        if periods and found.open_ts is not None:
            over_ts = min(max(last for _, last in periods), found.open_ts + BUILD_STEP_S)
            times.append((found.open_ts, quarter_of(over_ts)))
        for from_ts, until_ts in times:
            quarters = quarter_of(max(from_ts, found.thinned_ts)), until_ts + -until_ts % QUARTER_S
            alike[quarters].append(found.sensor_id)
    for (from_ts, until_ts), sensor_ids in alike.items():
        compute(connection, sensor_ids, from_ts, until_ts, max_gap_s)


def stretches(times: Sequence[int]) -> Iterator[Period]:
    """The first and the last of times, in order, that have no day or more between them."""
    first_ts = times[0]
    for ts, next_ts in pairwise(times):
        if next_ts - ts >= DAY_S:
            yield first_ts, ts
            first_ts = next_ts
    yield first_ts, times[-1]


def compute(
    connection: Connection,
    sensor_ids: Collection[int],
    from_ts: int,
    until_ts: int,
    max_gap_s: int,
) -> None:
    """Compute all cells of these sensors that meet a time, which is whole quarter hours."""
    if from_ts < until_ts:
        statements, asked = of_sensors(sensor_ids)
        asked |= bounds_of(from_ts, until_ts, max_gap_s)
        for statement in (statements.remove, *statements.add):
            statements.run(connection, statement, asked)


def bounds_of(from_ts: int, until_ts: int, max_gap_s: int) -> dict[str, int]:
    """The parameters for all cells that meet a time, which is whole quarter hours."""
    return {
        "max_gap_s": max_gap_s,
        # a measure before that adds nothing to the next one
        "from_ts": from_ts - max_gap_s,
        "until_ts": until_ts,
        **{f"first_{span_s}": from_ts - from_ts % span_s for span_s in SPANS_S},
        **{f"until_{span_s}": until_ts + -until_ts % span_s for span_s in SPANS_S},
    }


def change_mark(connection: Connection, sensor_id: int, **changes: int) -> None:
    """Give columns of a sensor's mark other values."""
    connection.execute(CHANGE_MARK.values(**changes), {"of_sensor": sensor_id})


def quarter_of(ts: int) -> int:
    """When the quarter hour around an instant began."""
    return ts - ts % QUARTER_S


def build(engine: Engine, max_gap_s: int) -> Iterator[float]:
    """Compute the cells that are missing or were computed otherwise; yields the share done.

    A build that was broken off goes on where it was. Measures may be stored meanwhile.
    """

    def step(connection: Connection, sensor_id: int, _from_ts: int) -> int:
        (found,) = lock(connection, [sensor_id], max_gap_s)
        if not found.holds(max_gap_s):
            change_mark(connection, sensor_id, form=FORM, max_gap_s=max_gap_s)
            all_cells = bounds_of(found.thinned_ts, ALL, max_gap_s)
            connection.execute(OF_ONE.remove, all_cells | {"sensor_id": sensor_id})
            (found,) = lock(connection, [sensor_id], max_gap_s)
        if found.open_ts is None:
            return ALL
        until_ts = found.open_ts - found.open_ts % DAY_S + BUILD_STEP_S
        newest_ts = connection.execute(NEWEST_TS, {"sensor_id": sensor_id}).scalar_one()
        over_ts = min(until_ts, quarter_of(newest_ts))
        compute(connection, [sensor_id], quarter_of(found.open_ts), over_ts, max_gap_s)
        if over_ts - found.open_ts > DAY_S and connection.dialect.name == "postgresql":
            connection.execute(text("ANALYZE rollups"))  # or its first plans are bad
        return until_ts if until_ts == over_ts else ALL

    return walk(engine, step)


def forget(engine: Engine) -> None:
    """Have `build` compute all cells anew."""
    with transaction(engine) as connection:
        connection.execute(update(rollup_marks).values(form=FORGOTTEN))


def walk(engine: Engine, step: Callable[[Connection, int, int], int]) -> Iterator[float]:
    """Go through the measures of each sensor, a transaction a step; yields the share done.

    `step` takes the sensor and from when on it goes, and answers until when it went.
    """
    with transaction(engine) as connection:
        sensor_ids = list(connection.execute(SENSORS).scalars())
    for number, sensor_id in enumerate(sensor_ids):
        until_ts = 0
        while until_ts < ALL:
            with transaction(engine) as connection:
                until_ts = step(connection, sensor_id, until_ts)
                done = share_before(connection, sensor_id, until_ts)
            yield (number + done) / len(sensor_ids)


def next_ts(connection: Connection, sensor_id: int, from_ts: int) -> int | None:
    """When a sensor's first measure from a time on is."""
    parameters = {"sensor_id": sensor_id, "from_ts": from_ts}
    found: int | None = connection.execute(NEXT_TS, parameters).scalar()
    return found


def share_before(connection: Connection, sensor_id: int, ts: int) -> float:
    """About which share of a sensor's measures is before a time."""
    oldest_ts = next_ts(connection, sensor_id, 0)
    newest_ts = connection.execute(NEWEST_TS, {"sensor_id": sensor_id}).scalar()
    if oldest_ts is None or newest_ts is None or ts > newest_ts:
        return 1.0
    return float((ts - oldest_ts) / (newest_ts - oldest_ts))
