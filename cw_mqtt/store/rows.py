"""Readings and states as rows of the database."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Double, Table, bindparam, delete, func, insert, select, update

from cw_mqtt.journal.rows import Entry, read_state, state_text
from cw_mqtt.model import SensorState, Verdict
from cw_mqtt.store.measures import ADDED, measure_row, whole
from cw_mqtt.store.rollups import refresh, stretches
from cw_mqtt.store.tables import bridge_states, measures, set_aside

Ids = Mapping[str, int]  # of sensors, by slug

# built once: building a statement takes longer than running it
ADD_SET_ASIDE = insert(set_aside)
ADD_STATES = insert(bridge_states)
COPIES = select(bridge_states.c.sensor, bridge_states.c.state)


def one_alike(table: Table) -> Any:
    """One row of a reading, where it was: of several that are alike, it does not matter which."""
    other = table.alias().c
    alike = [
        other.sensor_id == whole("of_sensor"),
        other.timestamp == whole("was_ts"),
        other.value == bindparam("power_w", type_=Double),
    ]
    return table.c.id == select(func.max(other.id)).where(*alike).scalar_subquery()


def move(table: Table) -> Any:
    """Give a reading another time. One that somebody has deleted meanwhile does not come back."""
    new = {"timestamp": whole("ts"), "night_rate": whole("night")}
    return update(table).where(one_alike(table)).values(new)


MOVE_MEASURE, MOVE_SET_ASIDE = move(measures), move(set_aside)
REMOVE_MEASURE = delete(measures).where(one_alike(measures))


def add_entries(connection: Connection, entries: Sequence[Entry], ids: Ids, max_gap_s: int) -> None:
    """Readings that count become measures, the others are set aside; some were it already."""
    new = [entry for entry in entries if entry.was_ts is None]
    old = [entry for entry in entries if entry.was_ts is not None]
    undated = [e for e in old if e.reading.verdict is Verdict.UNDATED]
    for statement, chosen, row_of in (
        (ADDED, [e for e in new if e.reading.verdict.counts], row),
        (ADD_SET_ASIDE, [e for e in new if not e.reading.verdict.counts], set_aside_row),
        (MOVE_MEASURE, [e for e in old if e.reading.verdict.counts], moved_row),
        (MOVE_SET_ASIDE, [e for e in old if not e.reading.verdict.counts], moved_row),
        (REMOVE_MEASURE, undated, moved_row),
        (ADD_SET_ASIDE, undated, set_aside_row),
    ):
        if chosen:
            connection.execute(statement, [row_of(entry, ids) for entry in chosen])
    times: dict[int, list[int]] = defaultdict(list)
    for entry in entries:
        if entry.reading.verdict.counts or entry.was_ts is not None:
            times[ids[entry.reading.sensor]] += filter(None, (entry.was_ts, entry.reading.ts))
    changed = {sensor_id: list(stretches(sorted(ts))) for sensor_id, ts in times.items()}
    refresh(connection, changed, max_gap_s)


def row(entry: Entry, ids: Ids) -> dict[str, Any]:
    """A reading as the columns of `measures`."""
    reading = entry.reading
    return measure_row(ids[reading.sensor], reading.ts, reading.power_w, night=reading.night)


def moved_row(entry: Entry, ids: Ids) -> dict[str, Any]:
    """A reading that had another time before."""
    reading = entry.reading
    return {
        "of_sensor": ids[reading.sensor],
        "was_ts": entry.was_ts,
        "power_w": reading.power_w,
        "ts": reading.ts,
        "night": int(reading.night),
    }


def set_aside_row(entry: Entry, ids: Ids) -> dict[str, Any]:
    """A reading as the columns of `set_aside`."""
    reading = entry.reading
    return {
        **row(entry, ids),
        "voltage_v": reading.voltage_v,
        "battery_mv": reading.battery_mv,
        "reason": str(reading.verdict),
    }


def copied_states(connection: Connection) -> dict[str, SensorState]:
    """The copies of the sensors' states, by slug."""
    copies = [read_state(slug, text) for slug, text in connection.execute(COPIES)]
    return {copy.sensor: copy for copy in copies if copy}


def copy_states(connection: Connection, states: Collection[SensorState]) -> None:
    """Replace the copies of these sensors' states."""
    if not states:
        return
    slugs = [state.sensor for state in states]
    connection.execute(delete(bridge_states).where(bridge_states.c.sensor.in_(slugs)))
    rows = [{"sensor": s.sensor, "state": state_text(s)} for s in states]
    connection.execute(ADD_STATES, rows)
