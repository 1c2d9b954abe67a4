"""Readings and states as rows of the database."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, delete, insert

from cw_mqtt.journal import STATE
from cw_mqtt.model import Reading, SensorState
from cw_mqtt.store.rollups import refresh
from cw_mqtt.store.tables import bridge_states, measures, set_aside

Ids = Mapping[str, int]  # of sensors, by slug

# built once: building a statement takes longer than running it
ADD_MEASURES = insert(measures)
ADD_SET_ASIDE = insert(set_aside)
ADD_STATES = insert(bridge_states)


def add_readings(
    connection: Connection, readings: Sequence[Reading], ids: Ids, max_gap_s: int
) -> None:
    """Those that count become measures, the others are set aside with the reason."""
    counting = [measure_row(r, ids) for r in readings if r.verdict.counts]
    others = [set_aside_row(r, ids) for r in readings if not r.verdict.counts]
    if counting:
        connection.execute(ADD_MEASURES, counting)
    if others:
        connection.execute(ADD_SET_ASIDE, others)
    times: dict[int, list[int]] = defaultdict(list)
    for reading in readings:
        if reading.verdict.counts:
            times[ids[reading.sensor]].append(reading.ts)
    for sensor_id in sorted(times):  # everybody locks them in this order
        refresh(connection, sensor_id, min(times[sensor_id]), max(times[sensor_id]), max_gap_s)


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


def copy_states(connection: Connection, states: Collection[SensorState]) -> None:
    """Replace the copies of these sensors' states."""
    if not states:
        return
    slugs = [state.sensor for state in states]
    connection.execute(delete(bridge_states).where(bridge_states.c.sensor.in_(slugs)))
    rows = [{"sensor": s.sensor, "state": STATE.dump_json(s).decode()} for s in states]
    connection.execute(ADD_STATES, rows)
