"""The connection to SQLite or PostgreSQL, and what is said when it is unavailable."""

import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    ClauseElement,
    Connection,
    Dialect,
    Engine,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.exc import DataError, DBAPIError, DisconnectionError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnectionFreeError

from cw_mqtt.config.settings import DatabaseSettings
from cw_mqtt.config.values import in_url
from cw_mqtt.errors import ResourceAwayError, UsageError, with_remedy
from cw_mqtt.journal.file import file_number

log = logging.getLogger(__name__)

SQLITE_NAME = "citizenwatt.sqlite"
DATABASE_PAGE_BYTES = 1024  # of a new file; a batch writes whole pages, about eight of them
CACHE_KIB = 512  # of each connection, of which there are many; the system keeps the file itself
BUSY_TIMEOUT_S = 5
BUSY_PAUSE_S = 0.01

UTF_8 = "utf_8"

# SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
UNIQUE_VIOLATION = "23505"
RAISED_BY_TRIGGER = "P0001"


def make_engine(settings: DatabaseSettings, data_dir: Path) -> Engine:
    """The configured database, by default a SQLite file in `data_dir`; connects when first used.

    PostgreSQL has some seconds for each answer, unless the engine is `patient`.
    """
    if settings.url is None:
        return sqlite_engine(data_dir / SQLITE_NAME)
    from cw_mqtt.store import postgres  # 5 MB that SQLite does without

    # SQLAlchemy reads plain postgresql:// as another driver
    url = make_url(settings.url).set(drivername="postgresql+psycopg2")
    if settings.password:
        url = url.set(password=settings.password.get_secret_value())
    engine = create_engine(
        url, connect_args=postgres.arguments(), pool_pre_ping=True, hide_parameters=True
    )
    event.listen(engine, "checkout", postgres.hurry)
    event.listen(engine, "before_cursor_execute", write_storable, retval=True)
    return engine


def write_storable(
    connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: object
) -> tuple[str, Any]:
    """Let no text fail that the database's encoding cannot hold: its readings would be lost."""
    return statement, storable(parameters, codec_of(connection))


def storable(value: Any, codec: str) -> Any:
    """Parameters in which characters that an encoding lacks are written as `\\U0001f3e0`."""
    if isinstance(value, str):
        return value.encode(codec, "backslashreplace").decode(codec).replace("\0", r"\x00")
    if isinstance(value, dict):
        return {name: storable(each, codec) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(storable(each, codec) for each in value)
    return value


def codec_of(connection: Connection) -> str:
    """Python's name for the encoding of a database."""
    if connection.dialect.name == "sqlite":
        return UTF_8
    raw: Any = connection.connection.dbapi_connection
    encoding = raw.info.parameter_status("server_encoding")
    # SQL_ASCII is no encoding: it keeps any bytes, which are ours then
    from psycopg2.extensions import encodings

    return UTF_8 if encoding in (None, "SQL_ASCII") else encodings.get(encoding, "ascii")


def sqlite_engine(path: Path) -> Engine:
    """The SQLite file, which is created when it is missing."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_TIMEOUT_S},
        hide_parameters=True,
        pool_use_lifo=True,  # the one used last has its pages at hand
    )
    event.listen(engine, "first_connect", lambda connection, _: tell_mode(connection, path))
    event.listen(engine, "connect", prepare_sqlite)
    file = SqliteFile(path)
    event.listen(engine, "connect", file.note)
    event.listen(engine, "checkout", file.check)
    return engine


class SqliteFile:
    """Notices that the file was deleted or replaced, after which its connections write to nowhere.

    Each is then closed and opened again, on what is in its place, or on a new file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._said: set[object] = set()

    def note(self, _connection: object, record: Any) -> None:
        """Remember which file a connection has opened."""
        record.info["file"] = file_number(self._path)

    def check(self, _connection: object, record: Any, _proxy: object) -> None:
        """Before a connection is used: is it still the file at this path?"""
        opened = record.info["file"]
        if opened == file_number(self._path):
            return
        if opened not in self._said:
            self._said.add(opened)
            log.error("%s was deleted or replaced while it was used; opening it again", self._path)
        raise DisconnectionError


def tell_mode(connection: Any, path: Path) -> None:
    """Say it when the file system cannot do what lets readers and a writer work at once."""
    if (mode := switch_to_wal(connection)) != "wal":
        log.warning(
            "%s: SQLite can only use the journal mode %s here, in which reading and writing wait "
            "for each other; let data_dir be on a disk of this computer",
            path,
            mode,
        )


def prepare_sqlite(connection: Any, _record: object) -> None:
    """Let readers and one writer work at once; make what was answered survive a power cut."""
    switch_to_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")


def switch_to_wal(connection: Any) -> str:
    """Choose the journal mode; for this alone SQLite does not wait until others are ready.

    The answer is the mode that it has then, which the file system may limit.
    """
    connection.execute(f"PRAGMA page_size = {DATABASE_PAGE_BYTES}")  # in this mode it is too late
    deadline_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(BUSY_PAUSE_S)


def patient(engine: Engine) -> Engine:
    """The same database with all the time that it needs, as for years of measures at once."""
    return engine.execution_options(patient=True)


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction: committed in the end, undone by any error.

    Raises `ResourceAwayError` for whatever the database says, unless `is_rows_fault`.
    """
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql" and "patient" in engine.get_execution_options():
                from cw_mqtt.store import postgres

                postgres.take_time(connection.connection.dbapi_connection)
            yield connection
    except DBAPIError as error:
        if is_rows_fault(error):
            raise
        raise ResourceAwayError(explained(engine.url, first_line(error))) from error
    except NoConnectionFreeError as error:
        raise ResourceAwayError(explained(engine.url, "all connections are in use")) from error


def quickly(
    connection: Connection, statement: ClauseElement, parameters: Mapping[str, Any]
) -> Sequence[Sequence[Any]]:
    """The rows of a statement whose text never changes; values come as the driver gives them.

    What SQLAlchemy makes anew for each takes several times as long as SQLite needs.
    """
    sql, names, usual = _compiled(statement, connection.dialect)
    values = {**usual, **parameters}
    if names is None:
        result = connection.exec_driver_sql(sql, {name: values[name] for name in usual})
        return result.all() if result.returns_rows else ()
    return on_sqlite(connection, sql, [values[name] for name in names])


def on_sqlite(connection: Connection, sql: str, values: Sequence[Any] = ()) -> list[Any]:
    """The rows of a statement that the driver is given directly; raises as SQLAlchemy does."""
    driver: Any = connection.connection.driver_connection
    try:
        rows: list[Any] = driver.execute(sql, values).fetchall()
    except sqlite3.Error as error:
        raise DBAPIError.instance(sql, None, error, sqlite3.Error, hide_parameters=True) from error
    return rows


@lru_cache(maxsize=64)  # each opening of a database has a dialect of its own
def _compiled(
    statement: ClauseElement, dialect: Dialect
) -> tuple[str, Sequence[str] | None, Mapping[str, Any]]:
    """The text for a driver, the names of its parameters where these go by place, and values."""
    compiled: Any = statement.compile(dialect=dialect)
    names = compiled.positiontup if compiled.positional else None
    return str(compiled), names, compiled.params


def begin_writing(connection: Connection) -> None:
    """Let nobody else change what is read from now on, on SQLite; PostgreSQL locks rows."""
    if connection.dialect.name == "sqlite" and not connection.connection.in_transaction:
        on_sqlite(connection, "BEGIN IMMEDIATE")  # pysqlite begins none before a SELECT


@contextmanager
def filling(engine: Engine) -> Iterator[Connection]:
    """A transaction for rows out of a file. Raises `UsageError` when one of them is refused."""
    try:
        with transaction(engine) as connection:
            yield connection
    except DBAPIError as error:
        raise UsageError(f"{place(engine.url)} refuses a row: {first_line(error)}") from error


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A transaction in which nothing changes, whatever others write."""
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    with transaction(engine) as connection:
        if engine.dialect.name == "sqlite":
            on_sqlite(connection, "BEGIN")  # pysqlite begins none before a SELECT
        yield connection


def is_rows_fault(error: DBAPIError) -> bool:
    """Whether the rows themselves were refused, so that trying them again is in vain.

    No row of ours brings its own unique value: a duplicate is the fault of a sequence that
    lags behind its table.
    """
    code = getattr(error.orig, "pgcode", None)
    if code == UNIQUE_VIOLATION:
        return False
    return isinstance(error, IntegrityError | DataError) or code == RAISED_BY_TRIGGER


def first_line(error: DBAPIError) -> str:
    """What the database said, without its hints and the statement."""
    return str(error.orig).strip().partition("\n")[0]


def explained(url: URL, said: str) -> str:
    """Which database, what it said, and what can be done; never a password."""
    return f"{place(url)}: {with_remedy(said)}"


def place(url: URL) -> str:
    """How people know this database, such as `localhost:5432/citizenwatt`."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return f"{in_url(url.host or 'local socket')}:{url.port or 5432}/{url.database}"
