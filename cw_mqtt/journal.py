"""The journal: what was accepted, on disk, before anybody is told.

One SQLite file in `data_dir`, held by one process at a time. It keeps the state of each sensor,
every accepted reading until it is in the database (and about seven days longer), a trace of every
payload ever heard, and the ledger of retained topics. Everything that one packet changes is
committed in one transaction.
"""

import fcntl
import logging
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from cw_mqtt.errors import InUseError, ResourceAwayError, UsageError
from cw_mqtt.heard import SCHEMA as HEARD_SCHEMA
from cw_mqtt.heard import remember, was_heard
from cw_mqtt.model import Era, Reading, SensorState, Verdict
from cw_mqtt.stages import Bell

log = logging.getLogger(__name__)

VERSION = 1
KEPT_A_SENSOR = 75_600  # stored readings: seven days' worth, at one each 8 s
MOST_READINGS = 1_000_000
PRUNED_AT_ONCE = 500

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sensors (sensor TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE readings (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, sensor TEXT NOT NULL, ts INTEGER NOT NULL,
    power_w REAL NOT NULL, voltage_v INTEGER NOT NULL, battery_mv INTEGER NOT NULL,
    verdict TEXT NOT NULL, night INTEGER NOT NULL, day_j REAL NOT NULL, night_j REAL NOT NULL,
    withdrawn INTEGER NOT NULL DEFAULT 0);
CREATE TABLE refused (seq INTEGER PRIMARY KEY, reason TEXT NOT NULL);
CREATE TABLE retained (topic TEXT PRIMARY KEY) WITHOUT ROWID;
"""

ADD = "INSERT INTO readings VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"
WITHDRAW = """
INSERT INTO readings SELECT NULL, sensor, ts, power_w, voltage_v, battery_mv, verdict, night, day_j,
    night_j, 1 FROM readings WHERE seq BETWEEN ? AND ?
"""
STATE = TypeAdapter(SensorState)
ERA = TypeAdapter(Era)


@dataclass(frozen=True, slots=True)
class Entry:
    """A reading with its sequence number in the journal (from 1, without end).

    One that is `withdrawn` was entered before, and does not hold any more.
    """

    seq: int
    reading: Reading
    withdrawn: bool = False


class Journal:
    """The open journal. Every method may be called from any thread.

    `id` names this file for ever: the database keeps positions by it. `installation` is the
    random name under which Home Assistant knows this bridge.
    Raises `InUseError` when another process holds it, `ResourceAwayError` when the folder or
    the disk refuses.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.path = folder / "journal.sqlite"
        self.lock = threading.RLock()
        self._bells: list[Bell] = []
        self._noted: dict[str, SensorState] = {}
        self._lock_file = hold(folder)
        try:
            self._connection = open_file(self.path, durable=durable)
        except BaseException:
            self._lock_file.close()
            raise
        names = dict(self._connection.execute("SELECT name, value FROM meta"))
        self.id: str = names["journal"]
        self.installation: str = names["installation"]
        self.era = ERA.validate_json(names["era"]) if "era" in names else None
        rows = self._connection.execute("SELECT sensor, state FROM sensors")
        self._states = {sensor: STATE.validate_json(state) for sensor, state in rows}

    def close(self) -> None:
        """Close the file and let another process have it."""
        with self.lock:
            if self._noted:
                with suppress(ResourceAwayError):
                    self.commit(())
            self._connection.close()
            self._lock_file.close()

    def bell(self, bell: Bell | None = None) -> Bell:
        """A bell that rings after each commit, for the thread that asks; it may bring its own."""
        bell = bell or Bell()
        self._bells.append(bell)
        return bell

    def states(self) -> Mapping[str, SensorState]:
        """The committed state of each sensor, by slug; never waits for a commit."""
        return dict(self._states)

    def commit(
        self,
        states: Iterable[SensorState],
        readings: Sequence[Reading] = (),
        heard: Iterable[bytes] = (),
    ) -> None:
        """Make new states, readings and payloads heard durable together, then wake the sinks.

        Raises `ResourceAwayError` when the disk refuses; then nothing has changed.
        """
        with self.lock:
            states = (self._noted | {state.sensor: state for state in states}).values()
            with self._transaction() as connection:
                write_states(connection, states)
                connection.executemany(ADD, [reading_row(reading) for reading in readings])
                remember(connection, heard)
            self._states.update((s.sensor, s) for s in states)
            self._noted = {}
        self.ring()

    def note(self, states: Iterable[SensorState]) -> None:
        """Take up states of which only counters have changed: durable with the next commit."""
        with self.lock:
            self._noted |= {state.sensor: state for state in states}
            self._states.update(self._noted)

    def begin_era(
        self,
        era: Era,
        states: Iterable[SensorState] = (),
        date_anew: Callable[[Reading], Reading] | None = None,
    ) -> int:
        """Note that the clock is another from the next reading on, with what that changes.

        With `date_anew` the readings of the era before are withdrawn, and entered once more as
        it makes them, so that they are of the new era; the answer is how many.
        """
        with self.lock:
            states = (self._noted | {state.sensor: state for state in states}).values()
            with self._transaction() as connection:
                _, newest = self.span()
                count = 0
                if self.era and date_anew:
                    chosen = (self.era.first_seq, newest)
                    count = connection.execute(WITHDRAW, chosen).rowcount
                    rows = connection.execute(
                        "SELECT * FROM readings WHERE seq BETWEEN ? AND ?", chosen
                    )
                    new = (reading_row(date_anew(entry_of(row).reading)) for row in rows)
                    connection.executemany(ADD, new)
                era = replace(era, first_seq=newest + count + 1)
                write_states(connection, states)
                connection.execute(
                    "INSERT OR REPLACE INTO meta VALUES ('era', ?)", (ERA.dump_json(era).decode(),)
                )
            self.era = era
            self._states.update((s.sensor, s) for s in states)
            self._noted = {}
        self.ring()
        return count

    def was_heard(self, payload: bytes) -> bool:
        """Whether a payload was ever heard before, see `cw_mqtt.heard`."""
        with self.lock:
            return was_heard(self._connection, payload)

    def ring(self) -> None:
        """Wake the sinks."""
        for bell in self._bells:
            bell.ring()

    def update(self, sensor: str, change: Callable[[SensorState], SensorState]) -> None:
        """Commit one sensor's state changed by `change`; a sensor not yet known starts empty."""
        with self.lock:
            self.commit([change(self._states.get(sensor, SensorState(sensor)))])

    def readings_after(self, seq: int, limit: int) -> list[Entry]:
        """The oldest readings whose sequence number is above `seq`, in order."""
        with self.lock:
            rows = self._connection.execute(
                "SELECT * FROM readings WHERE seq > ? AND seq NOT IN (SELECT seq FROM refused) "
                "ORDER BY seq LIMIT ?",
                (seq, limit),
            ).fetchall()
        return [entry_of(row) for row in rows]

    def span(self) -> tuple[int, int]:
        """The oldest kept and the newest ever given sequence number; (1, 0) when none was."""
        with self.lock:
            newest = self._value("SELECT seq FROM sqlite_sequence WHERE name = 'readings'") or 0
            oldest = self._value("SELECT min(seq) FROM readings") or newest + 1
        return oldest, newest

    def continue_after(self, seq: int, newest_ts: int) -> None:
        """Give only sequence numbers above `seq` from now on.

        For a journal restored from an old copy, when the database already has later readings,
        up to `seq` and to the time `newest_ts`. Readings newer than that came after the copy
        was restored, under numbers already used: they get new ones.
        """
        with self.lock, self._transaction() as connection:
            first = self._value("SELECT min(seq) FROM readings WHERE ts > ?", newest_ts) or 0
            more = max(0, seq + 1 - first)
            # below 0 first: each number must be free at the moment at which it is given
            connection.execute("UPDATE readings SET seq = -seq - ? WHERE ts > ?", (more, newest_ts))
            connection.execute("UPDATE readings SET seq = -seq WHERE seq < 0")
            newest = max(seq, self._value("SELECT max(seq) FROM readings") or 0)
            connection.execute("DELETE FROM sqlite_sequence WHERE name = 'readings'")
            connection.execute("INSERT INTO sqlite_sequence VALUES ('readings', ?)", (newest,))

    def take_installation(self, installation: str) -> None:
        """Go by the name that the database remembers, in place of a lost journal's."""
        with self.lock:
            with self._transaction() as connection:
                connection.execute(
                    "UPDATE meta SET value = ? WHERE name = 'installation'", (installation,)
                )
            self.installation = installation

    def refuse(self, seq: int, reason: str) -> None:
        """Set a reading aside that the database refuses for ever; it is kept, not tried again."""
        with self.lock, self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO refused VALUES (?, ?)", (seq, reason))

    def stored(self, seq: int) -> int:
        """Forget readings that are in the database (up to `seq`), except seven days' worth.

        They go by number and never by time, which may have been wrong. Beyond a million the
        oldest go in any case; the answer is how many went unstored. A call removes a few hundred
        at most, so that no commit waits for it.
        """
        with self.lock, self._transaction() as connection:
            oldest, newest = self.span()
            kept = min(KEPT_A_SENSOR * max(1, len(self._states)), MOST_READINGS)
            gone = min(seq, newest - kept, oldest + PRUNED_AT_ONCE - 1)
            connection.execute("DELETE FROM readings WHERE seq <= ?", (gone,))
            return connection.execute(
                "DELETE FROM readings WHERE seq > ? AND seq <= ?", (seq, newest - MOST_READINGS)
            ).rowcount

    def retained_topics(self) -> set[str]:
        """Every topic under which something of ours is retained at the broker."""
        with self.lock:
            return {row[0] for row in self._connection.execute("SELECT topic FROM retained")}

    def note_retained(self, added: Iterable[str], removed: Iterable[str] = ()) -> None:
        """Change the ledger of retained topics: add before publishing, remove after clearing."""
        with self.lock, self._transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO retained VALUES (?)", [(topic,) for topic in added]
            )
            connection.executemany(
                "DELETE FROM retained WHERE topic = ?", [(topic,) for topic in removed]
            )

    def _value(self, statement: str, *values: int) -> Any:
        row = self._connection.execute(statement, values).fetchone()
        return row[0] if row else None

    def _transaction(self) -> "Transaction":
        return Transaction(self._connection)


class Transaction:
    """A write transaction; an error of the disk becomes `ResourceAwayError`, nothing changed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self._connection.execute("COMMIT")
        except sqlite3.Error as refused:
            error = refused
        if error is None:
            return
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise ResourceAwayError(f"the journal cannot be written: {error}") from error


def write_states(connection: sqlite3.Connection, states: Iterable[SensorState]) -> None:
    """Keep states, inside a transaction."""
    connection.executemany(
        "INSERT INTO sensors VALUES (?, ?) "
        "ON CONFLICT (sensor) DO UPDATE SET state = excluded.state",
        [(s.sensor, STATE.dump_json(s).decode()) for s in states],
    )


def reading_row(reading: Reading) -> tuple[Any, ...]:
    """A reading as the middle columns of a row of the journal."""
    return (
        reading.sensor,
        reading.ts,
        reading.power_w,
        reading.voltage_v,
        reading.battery_mv,
        str(reading.verdict),
        int(reading.night),
        reading.day_j,
        reading.night_j,
    )


def entry_of(row: Sequence[Any]) -> Entry:
    """A row of the journal as the entry that it is."""
    seq, sensor, ts, power_w, voltage_v, battery_mv, verdict, night, *energy, withdrawn = row
    reading = Reading(
        sensor, ts, power_w, voltage_v, battery_mv, Verdict(verdict), bool(night), *energy
    )
    return Entry(seq, reading, bool(withdrawn))


def hold(folder: Path) -> Any:
    """Take the folder's lock file for this process; the answer keeps it until closed.

    Raises `InUseError` with the number of the process that holds it, `ResourceAwayError` when
    the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock_file = (folder / "journal.lock").open("a+", encoding="ascii")
    except OSError as error:
        raise ResourceAwayError(f"cannot use the folder {folder}: {error.strerror}") from error
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock_file.seek(0)
        holder = lock_file.read().strip() or "unknown"
        lock_file.close()
        raise InUseError(
            f"{folder} is in use by process {holder}; stop that one, or give this one "
            "another data_dir"
        ) from error
    lock_file.truncate(0)
    lock_file.write(str(os.getpid()))
    lock_file.flush()
    return lock_file


def open_file(path: Path, *, durable: bool) -> sqlite3.Connection:
    """Open the journal's file; a damaged one is put beside and a new one begun.

    A new journal knows no totals: the bridge waits for the database to tell them.
    """
    try:
        connection = connect(path, durable=durable)
        if is_intact(connection):
            return connection
        connection.close()
    except sqlite3.OperationalError as error:
        raise ResourceAwayError(f"cannot use the journal {path}: {error}") from error
    except sqlite3.DatabaseError:
        pass
    mark = f".damaged-{int(time.time())}"
    for part in path.parent.glob(f"{path.name}*"):
        if ".damaged-" not in part.name:
            part.rename(f"{part}{mark}")
    log.error("the journal was damaged and is kept as %s%s; a new one begins", path, mark)
    return connect(path, durable=durable)


def is_intact(connection: sqlite3.Connection) -> bool:
    """Whether the tables that must not be wrong are in order.

    `heard`, by far the largest, is left out: reading it through would delay each start.
    """
    tables = ("meta", "sensors", "readings", "refused", "retained", "filters")
    return all(
        connection.execute(f"PRAGMA quick_check({table})").fetchone()[0] == "ok" for table in tables
    )


def connect(path: Path, *, durable: bool) -> sqlite3.Connection:
    """Open or create the file with its tables."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        connection.close()
        raise UsageError(f"{path} was written by a newer cw-mqtt; update this one")
    if version == 0:
        ids = [("journal", secrets.token_hex(16)), ("installation", secrets.token_hex(4))]
        connection.execute("BEGIN IMMEDIATE")
        for statement in (SCHEMA + HEARD_SCHEMA).split(";"):
            connection.execute(statement)
        connection.executemany("INSERT INTO meta VALUES (?, ?)", ids)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    return connection
