"""Which row of the table `sensors` belongs to which sensor of the settings."""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any
from unicodedata import normalize

from sqlalchemy import Connection, Double, Table, bindparam, delete, func, insert, select, update

from cw_mqtt.config.contract import ProviderSettings, line_on
from cw_mqtt.config.source import NOT_TEXT
from cw_mqtt.errors import UsageError
from cw_mqtt.journal.rows import Entry, read_state, state_text
from cw_mqtt.model import SensorState, Verdict
from cw_mqtt.store.engine import codec_of, storable
from cw_mqtt.store.measures import ADD_MEASURE, int64, measure_row
from cw_mqtt.store.rollups import refresh, stretches
from cw_mqtt.store.tables import (
    bridge_states,
    excluded,
    measures,
    measures_types,
    providers,
    sensor_slugs,
    sensors,
)

log = logging.getLogger(__name__)

LONGEST_NAME = 255  # of the old base's columns
ELECTRICITY = "Électricité"


def link_sensors(connection: Connection, names: Mapping[str, str]) -> dict[str, int]:
    """The id of each sensor's row by slug; `names` has the name for each slug that must be there.

    A slug seen before keeps its row, and its row takes the new name. A new slug takes the row of
    its name, so that an old base's sensor keeps its id, or else gets a new row.
    Raises `UsageError` when a sensor is to be called like another one.
    """
    names = {slug: stored_name(connection, name) for slug, name in names.items()}
    ids: dict[str, int] = dict(connection.execute(select(sensor_slugs)).all())
    rename_sensors(connection, {ids[slug]: names[slug] for slug in names if slug in ids})
    for slug in [slug for slug in names if slug not in ids]:
        ids[slug] = row_named(connection, names[slug])
        connection.execute(insert(sensor_slugs).values(slug=slug, sensor_id=ids[slug]))
        log.info("sensor %s is number %s in the database", slug, ids[slug])
    return ids


def link_slugs(connection: Connection, slugs: Mapping[int, str]) -> None:
    """Tie sensors to their slugs, by id; slugs that are tied stay so."""
    known = set(connection.execute(select(sensor_slugs.c.slug)).scalars())
    for sensor_id, slug in slugs.items():
        if slug not in known:
            connection.execute(insert(sensor_slugs).values(slug=slug, sensor_id=sensor_id))


def rename_sensors(connection: Connection, names: Mapping[int, str]) -> None:
    """Give rows the names of the settings, also when two sensors swap theirs."""
    taken = names_taken(connection)
    changed = {i: name for i, name in names.items() if taken.get(composed(name)) != i}
    for sensor_id, name in changed.items():
        holder = taken.get(composed(name))
        if holder is not None and holder not in changed:
            raise UsageError(
                f"sensors: the name {name!r} is that of another sensor in the database (number "
                f"{holder}), and sensor number {sensor_id} cannot have it too; choose another"
            )
    # names are unique at each moment: all give up theirs before any takes a new one
    for sensor_id in changed:
        set_name(connection, sensor_id, f"(sensor {sensor_id} is being renamed)")
    for sensor_id, name in changed.items():
        set_name(connection, sensor_id, name)


def row_named(connection: Connection, name: str) -> int:
    """The id of the row with this name, which is made when there is none."""
    found = names_taken(connection).get(composed(name))
    if found is not None:
        return int(found)
    row = insert(sensors).values(name=name, type_id=electricity(connection), last_timer=0)
    return int(connection.execute(row.returning(sensors.c.id)).scalar_one())


def electricity(connection: Connection) -> int:
    """The id of the one type of measures, which is made when there is none."""
    query = select(measures_types.c.id).where(measures_types.c.name == ELECTRICITY)
    found = connection.execute(query).scalar()
    if found is not None:
        return int(found)
    row = insert(measures_types).values(name=ELECTRICITY)
    return int(connection.execute(row.returning(measures_types.c.id)).scalar_one())


def names_taken(connection: Connection) -> dict[str, int]:
    """The id of each row by its name, composed."""
    rows = connection.execute(select(sensors.c.name, sensors.c.id))
    return {composed(name or ""): sensor_id for name, sensor_id in rows}


def stored_name(connection: Connection, name: str) -> str:
    """What a name is called in the database, which may lack a character of it."""
    stored: str = storable(name, codec_of(connection))[:LONGEST_NAME]
    if stored != name and composed(stored) not in names_taken(connection):
        tell_substitute(name, stored)
    return stored


def tell_substitute(name: str, stored: str) -> None:
    """Say what a name is called in the database, when it gets another one there."""
    if stored != name:
        log.warning("the database's encoding lacks a part of '%s'; there it is '%s'", name, stored)


def set_name(connection: Connection, sensor_id: int, name: str) -> None:
    """Rename one row."""
    connection.execute(update(sensors).where(sensors.c.id == sensor_id).values(name=name))


def composed(name: str) -> str:
    """A name in the one form that compares, and that settings may have.

    Editors write `é` as one character or as two; an old base's name may hold a line end.
    """
    return normalize("NFC", NOT_TEXT.sub(" ", name))


Ids = Mapping[str, int]  # of sensors, by slug

# built once: building a statement takes longer than running it
ADD_EXCLUDED = insert(excluded)
ADD_STATES = insert(bridge_states)
COPIES = select(bridge_states.c.sensor, bridge_states.c.state)


def one_alike(table: Table) -> Any:
    """One row of a reading, where it was: of several that are alike, it does not matter which."""
    other = table.alias().c
    alike = [
        other.sensor_id == int64("of_sensor"),
        other.timestamp == int64("was_ts"),
        other.value == bindparam("power_w", type_=Double),
    ]
    return table.c.id == select(func.max(other.id)).where(*alike).scalar_subquery()


def move(table: Table) -> Any:
    """Give a reading another time. One that somebody has deleted meanwhile does not come back."""
    new = {"timestamp": int64("ts"), "night_rate": int64("night")}
    return update(table).where(one_alike(table)).values(new)


MOVE_MEASURE, MOVE_EXCLUDED = move(measures), move(excluded)
REMOVE_MEASURE = delete(measures).where(one_alike(measures))


def add_entries(connection: Connection, entries: Sequence[Entry], ids: Ids, max_gap_s: int) -> None:
    """Readings that count become measures, the others are set aside; some were it already."""
    new = [entry for entry in entries if entry.was_ts is None]
    old = [entry for entry in entries if entry.was_ts is not None]
    undated = [e for e in old if e.reading.verdict is Verdict.UNDATED]
    for statement, chosen, row_of in (
        (ADD_MEASURE, [e for e in new if e.reading.verdict.counts], row),
        (ADD_EXCLUDED, [e for e in new if not e.reading.verdict.counts], excluded_row),
        (MOVE_MEASURE, [e for e in old if e.reading.verdict.counts], moved_row),
        (MOVE_EXCLUDED, [e for e in old if not e.reading.verdict.counts], moved_row),
        (REMOVE_MEASURE, undated, moved_row),
        (ADD_EXCLUDED, undated, excluded_row),
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


def excluded_row(entry: Entry, ids: Ids) -> dict[str, Any]:
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


Columns = dict[str, str | float]


def write_providers(
    connection: Connection, contracts: Sequence[ProviderSettings], today: date
) -> None:
    """One row for each contract, with the prices of `today`.

    Rows of other contracts stay, and are not current. Settings without any contract leave the
    table as it is.
    """
    if not contracts:
        return
    connection.execute(update(providers).values(current=0))
    for name in dict.fromkeys(contract.name for contract in contracts):
        row = provider_row([contract for contract in contracts if contract.name == name], today)
        stored = storable(name, codec_of(connection))[:LONGEST_NAME]
        changed = connection.execute(
            update(providers).where(providers.c.name == stored).values(**row)
        )
        if changed.rowcount == 0:
            tell_substitute(name, stored)
            type_id = electricity(connection)
            connection.execute(insert(providers).values(name=stored, type_id=type_id, **row))


def provider_row(lines: Sequence[ProviderSettings], today: date) -> Columns:
    """The columns of one contract; a flat price is the same by day and by night."""
    line = line_on(lines, today)
    by_day, by_night = line.monthly
    return {
        "day_slope_watt_euros": line.tariff(night=False).eur_per_kwh,
        "day_constant_watt_euros": by_day,
        "night_slope_watt_euros": line.tariff(night=True).eur_per_kwh,
        "night_constant_watt_euros": by_night,
        "current": int(any(line.current for line in lines)),
        "threshold": line.threshold_w,
    }
