"""Rollups: what the measures of each quarter hour, hour and day (UTC) carry together.

They are never added to: whoever changes measures has the cells around them computed anew from
the measures, in the same transaction. So a cell depends on the measures alone, and not on the
way they came. A cell without measures has no row; there are none for the years before 1970.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Select,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)

from cw_mqtt.model import Energy
from cw_mqtt.store.carried import added_up, carried
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.measures import NEWEST, OF_TIME, whole
from cw_mqtt.store.tables import measures, rollup_marks, rollups, sensor_slugs, sensors

SPANS_S = (900, 3600, 86400)  # each a multiple of the one before
QUARTER_S, DAY_S = SPANS_S[0], SPANS_S[-1]
FORM = 1  # to be raised when cells come to mean something else: then all are computed anew
STEP_S = 32 * DAY_S
ALL = 10**18  # later than any measure, and more than there are

cell, mark = rollups.c, rollup_marks.c


def cells_between(span_s: int, bounds_s: int) -> Any:
    """The cells of a span in the time that is computed, which is whole cells of `bounds_s`."""
    return (
        (cell.sensor_id == whole("sensor_id"))
        & (cell.span_s == span_s)
        & (cell.start_ts >= whole(f"first_{bounds_s}"))
        & (cell.start_ts < whole(f"until_{bounds_s}"))
    )


def cells_of(span_s: int, ts: Any, sums: Any, chosen: Any) -> Select[Any]:
    """The cells of a span, computed from the `chosen` ones of `sums`, each of which is at `ts`."""
    start_ts = (ts - ts % span_s).label("start_ts")
    cells = select(whole("sensor_id"), literal(span_s), start_ts, *added_up(sums))
    return cells.where(chosen).group_by(start_ts)


# built once: building a statement takes longer than running it
each = carried(OF_TIME).c
COMPUTED = {
    QUARTER_S: cells_of(
        QUARTER_S, each.timestamp, each, each.timestamp >= whole(f"first_{QUARTER_S}")
    )
} | {
    span_s: cells_of(span_s, cell.start_ts, cell, cells_between(finer_s, span_s))
    for finer_s, span_s in pairwise(SPANS_S)
}
STORED = {s: select(rollups).where(cells_between(s, s)) for s in SPANS_S}
ADD = [insert(rollups).from_select(cell.keys(), cells) for cells in COMPUTED.values()]
REMOVE = delete(rollups).where(or_(*(cells_between(s, s) for s in SPANS_S)))
TOTAL = select(func.sum(cell.day_j), func.sum(cell.night_j)).where(
    cell.sensor_id == whole("sensor_id"), cell.span_s == DAY_S
)

# not `sensor_id`, which would be a new value for the column
THIS_MARK = mark.sensor_id == whole("of_sensor")
MARK = select(rollup_marks).where(THIS_MARK)
ADD_MARK = insert(rollup_marks)
LOCK = update(rollup_marks).where(THIS_MARK).values(form=mark.form).returning(rollup_marks)
CHANGE_MARK = update(rollup_marks).where(THIS_MARK)

STORED_SUMS = (
    select(sensor_slugs.c.slug, func.sum(cell.day_j + cell.night_j))
    .join(sensor_slugs, sensor_slugs.c.sensor_id == cell.sensor_id)
    .where(cell.span_s == DAY_S)
    .group_by(sensor_slugs.c.slug)
)

SENSORS = select(sensors.c.id).order_by(sensors.c.id)
OF_SENSOR = measures.c.sensor_id == whole("sensor_id")
NEXT_TS = select(func.min(measures.c.timestamp)).where(
    OF_SENSOR, measures.c.timestamp >= whole("from_ts")
)
NEWEST_TS = select(func.max(measures.c.timestamp)).where(OF_SENSOR)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a sensor's cells hold.

    They have all measures before `built_ts`, with `max_gap_s` as the longest interval. Before
    `thinned_ts`, the start of a day, the measures themselves are gone.
    """

    sensor_id: int
    form: int = FORM
    max_gap_s: int = 0
    built_ts: int = 0
    thinned_ts: int = 0

    def holds(self, max_gap_s: int, until_ts: int) -> bool:
        """Whether the cells before `until_ts` may be used."""
        return (self.form, self.max_gap_s) == (FORM, max_gap_s) and until_ts <= self.built_ts


def find_mark(connection: Connection, sensor_id: int) -> Mark:
    """A sensor's mark; one that says nothing while there is none."""
    row = connection.execute(MARK, {"of_sensor": sensor_id}).first()
    return Mark(*row) if row else Mark(sensor_id)


def lock(connection: Connection, sensor_id: int) -> Mark:
    """Keep all others from changing this sensor's cells until the transaction ends; its mark.

    Measures may be changed before: what others have changed is seen after it.
    """
    row = connection.execute(LOCK, {"of_sensor": sensor_id}).first()
    if row is None:
        row = connection.execute(ADD_MARK.returning(rollup_marks), asdict(Mark(sensor_id))).one()
    return Mark(*row)


def stored_energy(connection: Connection, sensor_id: int) -> Energy:
    """What all measures of a sensor carry, once its cells are built, and its newest measure."""
    of_sensor = {"sensor_id": sensor_id}
    day_j, night_j = (joules or 0.0 for joules in connection.execute(TOTAL, of_sensor).one())
    newest = connection.execute(NEWEST, of_sensor).first()
    energy = Energy(total_j=day_j + night_j, day_j=day_j, night_j=night_j)
    return replace(energy, last_ts=newest[0], last_power_w=newest[1]) if newest else energy


def stored_sums(connection: Connection) -> dict[str, float]:
    """The energy in J that all measures of each sensor carry, by slug."""
    return dict(connection.execute(STORED_SUMS).all())


def refresh(
    connection: Connection, found: Mark, first_ts: int, last_ts: int, max_gap_s: int
) -> None:
    """Compute the cells anew after measures from `first_ts` to `last_ts` came or went.

    `found` is the sensor's mark, which `lock` gave. Cells whose measures are thinned out stay
    as they are.
    """
    first_ts = max(first_ts, found.thinned_ts)
    compute(connection, found.sensor_id, first_ts, end_of_change(last_ts, max_gap_s), max_gap_s)


def end_of_change(last_ts: int, max_gap_s: int) -> int:
    """Until when cells change with a measure: the one after it carries something else then."""
    return last_ts + max_gap_s + 1


def compute(
    connection: Connection, sensor_id: int, first_ts: int, until_ts: int, max_gap_s: int
) -> None:
    """Compute all cells that meet this time."""
    if first_ts < until_ts:
        bounds = bounds_of(sensor_id, first_ts, until_ts, max_gap_s)
        for cells in (REMOVE, *ADD):
            connection.execute(cells, bounds)


def bounds_of(sensor_id: int, first_ts: int, until_ts: int, max_gap_s: int) -> dict[str, int]:
    """The parameters for all cells that meet a time."""
    first = {f"first_{span_s}": first_ts - first_ts % span_s for span_s in SPANS_S}
    until = {f"until_{span_s}": until_ts + -until_ts % span_s for span_s in SPANS_S}
    return {
        "sensor_id": sensor_id,
        "max_gap_s": max_gap_s,
        # a measure before that adds nothing to the next one
        "from_ts": first[f"first_{QUARTER_S}"] - max_gap_s,
        "until_ts": until[f"until_{QUARTER_S}"],
        **first,
        **until,
    }


def build(engine: Engine, max_gap_s: int) -> Iterator[float]:
    """Compute the cells that are missing or were computed otherwise; yields the share done.

    A build that was broken off goes on where it was. Measures may be stored meanwhile.
    """

    def step(connection: Connection, sensor_id: int, _from_ts: int) -> int:
        found = lock(connection, sensor_id)
        if not found.holds(max_gap_s, found.built_ts):
            found = replace(found, form=FORM, max_gap_s=max_gap_s, built_ts=found.thinned_ts)
        if found.built_ts == ALL:
            return ALL
        until_ts = end_of_step(connection, sensor_id, found.built_ts)
        compute(connection, sensor_id, found.built_ts, until_ts, max_gap_s)
        if until_ts == ALL and connection.dialect.name == "postgresql":
            connection.execute(text("ANALYZE rollups"))  # or its first plans are bad
        values = {"form": FORM, "max_gap_s": max_gap_s, "built_ts": until_ts}
        connection.execute(CHANGE_MARK, {"of_sensor": sensor_id, **values})
        return until_ts

    return walk(engine, step)


def forget(engine: Engine) -> None:
    """Have `build` compute all cells anew."""
    with transaction(engine) as connection:
        connection.execute(update(rollup_marks).values(built_ts=mark.thinned_ts))


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


def end_of_step(connection: Connection, sensor_id: int, from_ts: int) -> int:
    """Until when a step goes that begins at the first measure from a time on."""
    next_ts = connection.execute(NEXT_TS, {"sensor_id": sensor_id, "from_ts": from_ts}).scalar()
    return ALL if next_ts is None else next_ts - next_ts % DAY_S + STEP_S


def share_before(connection: Connection, sensor_id: int, ts: int) -> float:
    """About which share of a sensor's measures is before a time."""
    oldest_ts = connection.execute(NEXT_TS, {"sensor_id": sensor_id, "from_ts": 0}).scalar()
    newest_ts = connection.execute(NEWEST_TS, {"sensor_id": sensor_id}).scalar()
    if oldest_ts is None or newest_ts is None or ts > newest_ts:
        return 1.0
    return float((ts - oldest_ts) / (newest_ts - oldest_ts))
