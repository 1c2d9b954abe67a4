"""The journal's file: held by one process, written in small pages, begun anew where damaged."""

import fcntl
import logging
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from cw_mqtt.errors import InUseError, ResourceAwayError, UsageError, with_remedy
from cw_mqtt.private_files import private_folder

log = logging.getLogger(__name__)

VERSION = 1
JOURNAL_PAGE_BYTES = 1024  # a commit writes whole pages, two or three of them
TABLES = ("states", "readings", "heard", "retained")
SCHEMA = """
CREATE TABLE states (name TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE readings (
    seq INTEGER PRIMARY KEY, sensor TEXT NOT NULL, ts INTEGER NOT NULL, power_w REAL NOT NULL,
    voltage_v INTEGER NOT NULL, battery_mv INTEGER NOT NULL, verdict TEXT NOT NULL,
    night INTEGER NOT NULL, was_ts INTEGER, heard BLOB NOT NULL);
CREATE TABLE heard (heard BLOB NOT NULL);
CREATE TABLE retained (topic TEXT PRIMARY KEY);
"""
SET_STATE = "INSERT INTO states VALUES (?, ?) ON CONFLICT DO UPDATE SET state = excluded.state"
DAMAGE = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_IOERR_READ,
    sqlite3.SQLITE_IOERR_SHORT_READ,
}


class JournalFile:
    """The open file. `known` tells the states that need not be read from a damaged one.

    Raises `InUseError` when another process holds the folder, `ResourceAwayError` when folder
    or disk refuse.
    """

    def __init__(
        self, folder: Path, known: Callable[[], Mapping[str, str]], *, durable: bool
    ) -> None:
        self.path = folder / "journal.sqlite"
        self.lock = threading.RLock()
        self._known = known
        self._durable = durable
        self._lock_file = hold(folder)
        self._connection = connect(self.path)
        try:
            prepare(self._connection, self.path, durable=durable)
            self._number = file_number(self.path)
        except UsageError:
            self.close()
            raise
        except sqlite3.Error as error:
            if not is_damage(error):
                self.close()
                raise ResourceAwayError(
                    f"the journal {self.path}: {with_remedy(str(error))}"
                ) from error
            self._begin_anew()

    def close(self) -> None:
        """Close the file and let another process have it."""
        self._connection.close()
        self._lock_file.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, by one thread at a time.

        Raises `ResourceAwayError` for whatever SQLite says; a damaged file was replaced then.
        """
        with self.lock:
            if file_number(self.path) != self._number:
                self._begin_anew()
            try:
                with self._connection:
                    self._connection.execute("BEGIN")
                    yield self._connection
            except sqlite3.Error as error:
                if is_damage(error):
                    self._begin_anew()
                    raise ResourceAwayError(f"the journal {self.path}: {error}") from error
                raise ResourceAwayError(
                    f"the journal {self.path}: {with_remedy(str(error))}"
                ) from error

    def _begin_anew(self) -> None:
        """Put another file in the place of a damaged one, with all that can be read or is known.

        Until it is there, nothing has changed: the next use of the journal tries again.
        """
        part = self.path.with_suffix(".part")
        aside = self.path.with_name(f"{self.path.name}.damaged-{int(time.time())}")
        try:
            part.unlink(missing_ok=True)
            with closing(connect(part)) as new, new:
                lost = rescue(self._connection, new, self._known())
            self._connection.close()
            put_aside(self.path, aside)
            part.replace(self.path)
            self._connection = connect(self.path)
            prepare(self._connection, self.path, durable=self._durable)
            self._number = file_number(self.path)
        except (sqlite3.Error, OSError) as error:
            raise ResourceAwayError(f"the journal {self.path} is damaged: {error}") from error
        log.error(
            "the journal was damaged, deleted or replaced (what is there is kept as %s); a new one "
            "begins, with what could be kept: %s",
            aside,
            f"all but some of: {', '.join(lost)}" if lost else "everything",
        )


def rescue(old: sqlite3.Connection, new: sqlite3.Connection, known: Mapping[str, str]) -> list[str]:
    """Fill a new journal with what is known and can be read; the tables that lack something.

    Without the name of the old journal, the database would store its readings once more.
    """
    new.execute("PRAGMA journal_mode = OFF")  # a torn one is never used
    create(new)
    new.executemany(SET_STATE, known.items())
    lost = [table for table in TABLES if not copy_table(old, new, table)]
    if not new.execute("SELECT * FROM states WHERE name = 'journal'").fetchone():
        new.execute("DELETE FROM readings")
    return lost


def copy_table(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> bool:
    """Copy rows up to the damage, from both ends; whether there was none."""
    for order in ("ASC", "DESC"):
        try:
            for row in old.execute(f"SELECT * FROM {table} ORDER BY rowid {order}"):  # noqa: S608 - our own names
                marks = ", ".join("?" * len(row))
                new.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
        else:
            return order == "ASC"
    return False


def file_number(path: Path) -> tuple[int, int] | None:
    """What tells a file from any other, also from one of its name; None when it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def put_aside(path: Path, aside: Path) -> None:
    """Rename a damaged journal; of earlier ones none is kept, or they would fill the disk."""
    for earlier in path.parent.glob(f"{path.name}.damaged-*"):
        earlier.unlink()
    for suffix in ("-wal", ""):
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is not what SQLite wrote, so that it does not help to try again."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code in DAMAGE or code & 0xFF in DAMAGE


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the file, which is opened when first used."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    connection.text_factory = lambda text: text.decode(errors="replace")
    return connection


def prepare(connection: sqlite3.Connection, path: Path, *, durable: bool) -> None:
    """Open the file, or create it with its tables and names.

    Other programs cannot open it: an index that they could read would be written too. Raises
    `UsageError` for the file of a newer version.
    """
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute(f"PRAGMA page_size = {JOURNAL_PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise UsageError(f"{path} was written by a newer cw-mqtt; update this one")
    with connection:
        connection.execute("BEGIN")
        if version == 0:
            create(connection)
        names = [("journal", secrets.token_hex(16)), ("installation", secrets.token_hex(4))]
        connection.executemany("INSERT OR IGNORE INTO states VALUES (?, ?)", names)


def create(connection: sqlite3.Connection) -> None:
    """Make the tables."""
    connection.execute(f"PRAGMA page_size = {JOURNAL_PAGE_BYTES}")
    for statement in SCHEMA.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def hold(folder: Path) -> Any:
    """Take the folder's lock file for this process; the answer keeps it until closed.

    Raises `InUseError` with the number of the process that holds it, `ResourceAwayError` when
    the folder cannot be made or written.
    """
    try:
        private_folder(folder)
        lock_file = (folder / "journal.lock").open("a+", encoding="ascii")
    except OSError as error:
        raise ResourceAwayError(
            f"cannot use the folder {folder}: {with_remedy(str(error.strerror))}"
        ) from error
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock_file.seek(0)
        holder = lock_file.read().strip() or "unknown"
        lock_file.close()
        raise InUseError(
            f"{folder} is in use by process {holder}; stop that one, or give this one "
            "another data_dir"
        ) from error
    except OSError as error:
        lock_file.close()
        raise ResourceAwayError(
            f"the file system of {folder} knows no locks ({error.strerror}); let data_dir be on a "
            "disk of this computer"
        ) from error
    lock_file.truncate(0)
    lock_file.write(str(os.getpid()))
    lock_file.flush()
    return lock_file
