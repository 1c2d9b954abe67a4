"""Readings and states as rows of the database."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, Delete, Table, bindparam, delete, func, insert, select

from cw_mqtt.journal import Entry, read_state, state_text
from cw_mqtt.model import Reading, SensorState
from cw_mqtt.store.measures import ADDED, measure_row
from cw_mqtt.store.rollups import refresh, stretches
from cw_mqtt.store.tables import bridge_states, measures, set_aside

Ids = Mapping[str, int]  # of sensors, by slug

# built once: building a statement takes longer than running it
ADD_SET_ASIDE = insert(set_aside)
ADD_STATES = insert(bridge_states)
COPIES = select(bridge_states.c.sensor, bridge_states.c.state)


def withdraw(table: Table) -> Delete:
    """Delete one row of a reading: of several that are alike, it does not matter which."""
    other = table.alias().c
    alike = [other[name] == bindparam(name) for name in ("sensor_id", "timestamp", "value")]
    return delete(table).where(
        table.c.id == select(func.max(other.id)).where(*alike).scalar_subquery()
    )


WITHDRAW_MEASURES = withdraw(measures)
WITHDRAW_SET_ASIDE = withdraw(set_aside)


def add_entries(connection: Connection, entries: Sequence[Entry], ids: Ids, max_gap_s: int) -> None:
    """Readings that count become measures, the others are set aside; withdrawn ones go again."""
    counting = [entry for entry in entries if entry.reading.verdict.counts]
    others = [entry for entry in entries if not entry.reading.verdict.counts]
    for statement, chosen, row_of in (
        (ADDED, [e for e in counting if not e.withdrawn], row),
        (ADD_SET_ASIDE, [e for e in others if not e.withdrawn], set_aside_row),
        (WITHDRAW_MEASURES, [e for e in counting if e.withdrawn], row),
        (WITHDRAW_SET_ASIDE, [e for e in others if e.withdrawn], row),
    ):
        if chosen:
            connection.execute(statement, [row_of(e.reading, ids) for e in chosen])
    times: dict[int, list[int]] = defaultdict(list)
    for entry in counting:
        times[ids[entry.reading.sensor]].append(entry.reading.ts)
    changed = {sensor_id: list(stretches(sorted(ts))) for sensor_id, ts in times.items()}
    refresh(connection, changed, max_gap_s)


def row(reading: Reading, ids: Ids) -> dict[str, float]:
    """A reading as the columns of `measures`."""
    return measure_row(ids[reading.sensor], reading.ts, reading.power_w, night=reading.night)


def set_aside_row(reading: Reading, ids: Ids) -> dict[str, float | str]:
    """A reading as the columns of `set_aside`."""
    return {
        **row(reading, ids),
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
