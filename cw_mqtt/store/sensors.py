"""Which row of the table `sensors` belongs to which sensor of the settings."""

import logging
from collections.abc import Mapping
from unicodedata import normalize

from sqlalchemy import Connection, insert, select, update

from cw_mqtt.config.source import NOT_TEXT
from cw_mqtt.errors import UsageError
from cw_mqtt.store.engine import codec_of, storable
from cw_mqtt.store.tables import measures_types, sensor_slugs, sensors

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
