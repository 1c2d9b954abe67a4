"""An old CitizenWatt base's database: what is in it, and what keeps it from being adopted."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Inspector,
    Integer,
    and_,
    func,
    inspect,
    or_,
    select,
    text,
)

from cw_mqtt.config.values import DAY_S
from cw_mqtt.errors import UsageError
from cw_mqtt.store.engine import place, transaction
from cw_mqtt.store.measures import COLUMNS
from cw_mqtt.store.postgres import ARGUMENTS
from cw_mqtt.store.schema import HEAD, refuse_newer, revision_of
from cw_mqtt.store.tables import measures, metadata, providers, sensor_slugs, sensors, users

# What every version of the old base had; the steps of `migrations` add the rest.
NEEDED = {
    "measures": {"sensor_id", *COLUMNS},
    "sensors": {"id", "name", "type_id"},
    "measures_types": {"id", "name"},
    "providers": {"id", "name"},
    "users": {"id", "login", "password"},
}
EARLIEST_TS = 946_684_800  # the year 2000: no sensor is that old
MEASURES_BYTES = text("SELECT pg_total_relation_size('measures')")
OURS = {"ours": ARGUMENTS["application_name"]}
# of other programs: one of ours that was killed may still be undoing what it began
OTHERS = text(
    "SELECT DISTINCT usename || coalesce(nullif(' with ' || application_name, ' with '), '') "
    "FROM pg_stat_activity WHERE datname = current_database() AND usename IS NOT NULL "
    "AND pid <> pg_backend_pid() AND application_name <> :ours ORDER BY 1"
)
OWNED_BY_OTHERS = text(
    "SELECT tablename, tableowner FROM pg_tables WHERE schemaname = current_schema() "
    "AND tablename = ANY(:tables) AND NOT pg_has_role(tableowner, 'USAGE') ORDER BY 1"
)
MAY_CREATE = text("SELECT has_schema_privilege(current_schema(), 'CREATE')")


@dataclass(frozen=True, slots=True)
class OldSensor:
    """A sensor's row, what it measured, and its slug if it has one already.

    `odd` counts the measures without a time or a value, or with a time that cannot be true;
    the first and last time are those of the others, None when there are none.
    """

    id: int
    name: str | None
    aes_key: str | None = field(default=None, repr=False)
    slug: str | None = None
    measures: int = 0
    odd: int = 0
    first_ts: int | None = None
    last_ts: int | None = None


@dataclass(frozen=True, slots=True)
class OldProvider:
    """A contract's row; prices are None where the old base had none."""

    id: int
    name: str | None
    day_slope_watt_euros: float | None = None
    day_constant_watt_euros: float | None = None
    night_slope_watt_euros: float | None = None
    night_constant_watt_euros: float | None = None
    current: int | None = None
    threshold: int | None = None


@dataclass(frozen=True, slots=True)
class OldUser:
    """Who may log in, and the hours that are night, in seconds since midnight."""

    login: str
    is_admin: int | None = None
    start_night_rate: int | None = None
    end_night_rate: int | None = None


@dataclass(frozen=True, slots=True)
class OldBase:
    """What is in a base; `changes` says in words what its tables lack."""

    place: str
    revision: str | None
    sensors: tuple[OldSensor, ...]
    providers: tuple[OldProvider, ...]
    users: tuple[OldUser, ...]
    changes: tuple[str, ...]
    size_bytes: int = 0

    @property
    def measures(self) -> int:
        """How many measures there are."""
        return sum(sensor.measures for sensor in self.sensors)


@dataclass(frozen=True, slots=True)
class Lacks:
    """What a database lacks of ours: tables, columns, the 64 bits of columns, the index."""

    tables: list[str]
    columns: list[Column[Any]]
    bits: list[Column[Any]]
    index: bool


def read_old_base(engine: Engine) -> OldBase:
    """What is in the database; nothing is changed.

    Raises `UsageError` when it is no base, or one of a newer program, and `ResourceAwayError`.
    """
    with transaction(engine) as connection:
        inspector = inspect(connection)
        revision = revision_of(connection)
        _refuse_unknown(place(engine.url), inspector, revision)
        postgres = connection.dialect.name == "postgresql"
        return OldBase(
            place=place(engine.url),
            revision=revision,
            sensors=_sensors_of(connection, inspector),
            providers=tuple(OldProvider(**row) for row in _rows_of(connection, OldProvider)),
            users=tuple(OldUser(**row) for row in _rows_of(connection, OldUser)),
            changes=tuple(_in_words(find_lacks(inspector))) if revision != HEAD else (),
            size_bytes=connection.execute(MEASURES_BYTES).scalar_one() if postgres else 0,
        )


def _refuse_unknown(name: str, inspector: Inspector, revision: str | None) -> None:
    """Raise `UsageError` unless this is an old base, or a database of ours."""
    refuse_newer(revision, name)
    tables = inspector.get_table_names()
    if not tables:
        raise UsageError(f"{name} is empty, and not an old base; check the name of the database")
    for table, needed in NEEDED.items():
        if table not in tables:
            raise UsageError(f"{name} is not an old base: it has no table {table}")
        columns = {column["name"]: column["type"] for column in inspector.get_columns(table)}
        if needed - columns.keys():
            missing = ", ".join(sorted(needed - columns.keys()))
            raise UsageError(f"{name} is not an old base: its table {table} has no {missing}")
        if not isinstance(columns.get("timestamp", Integer()), Integer):
            raise UsageError(f"{name} is not an old base: its times are not whole seconds")


def refuse_if_busy(engine: Engine) -> None:
    """Raise `UsageError` while others are connected, or when this user may not change the tables.

    Of PostgreSQL only.
    """
    with transaction(engine) as connection:
        others = connection.execute(OTHERS, OURS).scalars().all()
        owners = connection.execute(OWNED_BY_OTHERS, {"tables": list(NEEDED)}).all()
        may_create = connection.execute(MAY_CREATE).scalar_one()
    name, user = place(engine.url), engine.url.username
    if owners:
        whose = ", ".join(f"{table} ({owner})" for table, owner in owners)
        raise UsageError(
            f"{name}: the user {user} may not change tables of others: {whose}; name the owner in "
            f"--database, or make {user} the owner (ALTER TABLE ... OWNER TO ...)"
        )
    if not may_create:
        raise UsageError(
            f"{name}: the user {user} may not make tables; as the server's administrator: "
            f"GRANT CREATE ON SCHEMA public TO {user}"
        )
    if others:
        raise UsageError(
            f"{name} is in use by {', '.join(others)}; stop the old base and whatever else is "
            "connected (its programs, Grafana, psql), then run this again"
        )


def _sensors_of(connection: Connection, inspector: Inspector) -> tuple[OldSensor, ...]:
    ts = measures.c.timestamp
    latest_ts = int(time.time()) + DAY_S
    sound = and_(measures.c.value.is_not(None), ts.between(EARLIEST_TS, latest_ts))
    odd = or_(measures.c.value.is_(None), ts.is_(None), ~ts.between(EARLIEST_TS, latest_ts))
    query = select(
        measures.c.sensor_id,
        func.count().label("measures"),
        func.count().filter(odd).label("odd"),
        func.min(ts).filter(sound).label("first_ts"),
        func.max(ts).filter(sound).label("last_ts"),
    ).group_by(measures.c.sensor_id)
    measured = {
        row.pop("sensor_id"): row for row in map(dict, connection.execute(query).mappings())
    }
    linked = inspector.has_table("sensor_slugs")
    slugs = {i: s for s, i in connection.execute(select(sensor_slugs))} if linked else {}
    return tuple(
        OldSensor(**row, slug=slugs.get(row["id"]), **measured.get(row["id"], {}))
        for row in _rows_of(connection, OldSensor)
    )


def _rows_of(connection: Connection, kind: type) -> list[dict[str, Any]]:
    """The rows of a kind's table in order of id, without the columns that it lacks."""
    table = {OldSensor: sensors, OldProvider: providers, OldUser: users}[kind]
    there = {column["name"] for column in inspect(connection).get_columns(table.name)}
    wanted = [c for c in table.columns if c.name in there & set(kind.__annotations__)]
    rows = connection.execute(select(*wanted).order_by(table.c.id)).mappings()
    return [dict(row) for row in rows]


def find_lacks(inspector: Inspector) -> Lacks:
    """What a database lacks; a new one lacks all tables."""
    existing = inspector.get_table_names()
    missing: list[Column[Any]] = []
    narrow: list[Column[Any]] = []
    for table in metadata.sorted_tables:
        if table.name in existing:
            there = {column["name"]: column["type"] for column in inspector.get_columns(table.name)}
            missing += [column for column in table.columns if column.name not in there]
            narrow += [
                column
                for column in table.columns
                if isinstance(column.type, BigInteger)
                and not isinstance(there.get(column.name, column.type), BigInteger)
            ]
    indexes = inspector.get_indexes("measures") if "measures" in existing else []
    return Lacks(
        tables=[table.name for table in metadata.sorted_tables if table.name not in existing],
        columns=missing,
        bits=narrow,
        index=all(index["column_names"] != ["sensor_id", "timestamp"] for index in indexes),
    )


def _in_words(lacks: Lacks) -> Iterator[str]:
    yield from (f"{column} becomes a 64-bit number" for column in lacks.bits)
    yield from (f"the column {column} is added" for column in lacks.columns)
    yield from (f"the table {table} is added" for table in lacks.tables)
    if lacks.index:
        yield "an index over (sensor_id, timestamp) of measures is added"
