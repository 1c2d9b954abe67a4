"""Readings and states as rows of the database."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, Delete, Table, bindparam, delete, func, insert, select

from cw_mqtt.journal import STATE, Entry
from cw_mqtt.model import Reading, SensorState
from cw_mqtt.store.bulk import stretches
from cw_mqtt.store.rollups import lock, refresh
from cw_mqtt.store.tables import bridge_states, measures, set_aside

Ids = Mapping[str, int]  # of sensors, by slug

# built once: building a statement takes longer than running it
ADD_MEASURES = insert(measures)
ADD_SET_ASIDE = insert(set_aside)
ADD_STATES = insert(bridge_states)
COPIES = select(bridge_states.c.sensor, bridge_states.c.state)


def withdraw(table: Table) -> Delete:
    """Delete one row of a reading: of several that are alike, it does not matter which."""
    row = table.alias().c
    alike = [row[name] == bindparam(name) for name in ("sensor_id", "timestamp", "value")]
    return delete(table).where(
        table.c.id == select(func.max(row.id)).where(*alike).scalar_subquery()
    )


WITHDRAW_MEASURES = withdraw(measures)
WITHDRAW_SET_ASIDE = withdraw(set_aside)


def add_entries(connection: Connection, entries: Sequence[Entry], ids: Ids, max_gap_s: int) -> None:
    """Readings that count become measures, the others are set aside; withdrawn ones go again."""
    counting = [entry for entry in entries if entry.reading.verdict.counts]
    others = [entry for entry in entries if not entry.reading.verdict.counts]
    for statement, chosen, row_of in (
        (ADD_MEASURES, [e for e in counting if not e.withdrawn], measure_row),
        (ADD_SET_ASIDE, [e for e in others if not e.withdrawn], set_aside_row),
        (WITHDRAW_MEASURES, [e for e in counting if e.withdrawn], measure_row),
        (WITHDRAW_SET_ASIDE, [e for e in others if e.withdrawn], measure_row),
    ):
        if chosen:
            connection.execute(statement, [row_of(e.reading, ids) for e in chosen])
    times: dict[int, list[int]] = defaultdict(list)
    for entry in counting:
        times[ids[entry.reading.sensor]].append(entry.reading.ts)
    for sensor_id in sorted(times):  # everybody locks them in this order
        found = lock(connection, sensor_id)
        for first_ts, last_ts in stretches(sorted(times[sensor_id])):
            refresh(connection, found, first_ts, last_ts, max_gap_s)


def measure_row(reading: Reading, ids: Ids) -> dict[str, float]:
    """A reading as the columns of `measures`."""
    return {
        "sensor_id": ids[reading.sensor],
        "value": reading.power_w,
        "timestamp": reading.ts,
        "night_rate": int(reading.night),
    }


def set_aside_row(reading: Reading, ids: Ids) -> dict[str, float | str]:
    """A reading as the columns of `set_aside`."""
    return {
        **measure_row(reading, ids),
        "voltage_v": reading.voltage_v,
        "battery_mv": reading.battery_mv,
        "reason": str(reading.verdict),
    }


def copied_states(connection: Connection) -> dict[str, SensorState]:
    """The copies of the sensors' states, by slug."""
    return {slug: STATE.validate_json(text) for slug, text in connection.execute(COPIES)}


def copy_states(connection: Connection, states: Collection[SensorState]) -> None:
    """Replace the copies of these sensors' states."""
    if not states:
        return
    slugs = [state.sensor for state in states]
    connection.execute(delete(bridge_states).where(bridge_states.c.sensor.in_(slugs)))
    rows = [{"sensor": s.sensor, "state": STATE.dump_json(s).decode()} for s in states]
    connection.execute(ADD_STATES, rows)
