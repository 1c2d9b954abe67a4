"""The journal: what was accepted, on disk, before anybody is told.

One SQLite file in `data_dir`, held by one process at a time. It keeps the state of each sensor,
every accepted reading until it is in the database (and about seven days longer), the payloads
heard of late, and the ledger of retained topics. Everything that one packet changes is committed
in one transaction, in as few small pages as can be. Where the file is damaged, a new one begins
with all that can be read of it and all that is known here.
"""

import logging
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.journal.file import SET_STATE, JournalFile
from cw_mqtt.journal.replay_filter import MOST_RECENT, ReplayFilter
from cw_mqtt.journal.rows import (
    ADD_READING,
    Entry,
    entry_of,
    kept_text,
    read_kept,
    read_state,
    row_of,
    state_text,
)
from cw_mqtt.model import Era, Kept, Reading, SensorState
from cw_mqtt.runtime.wakeup import Wakeup

log = logging.getLogger(__name__)

KEPT_A_SENSOR = 75_600  # stored readings: seven days' worth, at one each 8 s
MOST_READINGS = 8_000_000  # seven days of a hundred sensors, in 600 MB
PRUNED_AT_ONCE = 500
ENTRIES_AT_ONCE = 1000
MOST_RUNS = 1000
SENSOR, KEY = "sensor:", "key:"

READINGS_AFTER = "SELECT * FROM readings WHERE seq > ? ORDER BY seq LIMIT ?"
HEARD_AFTER = "SELECT heard FROM heard UNION ALL SELECT heard FROM readings WHERE seq > ?"

ERA = TypeAdapter(Era)
RUNS = TypeAdapter(dict[str, int])


class Journal:
    """The open journal. Every method may be called from any thread.

    `was_heard` alone is for the thread that commits what it has heard. Each method raises
    `ResourceAwayError` when the disk refuses, or when the file was damaged and a new one has
    begun; then nothing has changed. So does the start, which raises `InUseError` when another
    process holds the journal.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self._wakeups: list[Wakeup] = []
        self._names: dict[str, str] = {}
        self._states: dict[str, SensorState] = {}
        self._noted: dict[str, SensorState] = {}
        self._kept: dict[str, Kept] = {}
        self.era: Era | None = None
        self._newest = 0
        self._file = JournalFile(folder, self._known, durable=durable)
        self.path, self.lock = self._file.path, self._file.lock
        try:
            heard = self._take_up()
        except ResourceAwayError:  # damaged, and mended
            heard = self._take_up()
        self._begin_run()
        self._replay_filter = ReplayFilter(folder, heard)

    @property
    def id(self) -> str:
        """What names this journal for ever: the database keeps positions by it."""
        return self._names["journal"]

    @property
    def installation(self) -> str:
        """The random name under which Home Assistant knows this bridge."""
        return self._names["installation"]

    @property
    def newest(self) -> int:
        """The newest sequence number ever given, 0 before the first; never waits for a commit."""
        return self._newest

    @property
    def runs(self) -> Mapping[str, int]:
        """What names each run of the bridge, and the first number that it could give.

        A run has one name for ever: so a copy of this file that another process goes on with can
        be told from it.
        """
        with suppress(ValidationError):
            return RUNS.validate_json(self._names.get("runs", ""))
        return {}

    @property
    def database(self) -> str | None:
        """Which database has stored this journal's readings; None before the first."""
        return self._names.get("database")

    def close(self) -> None:
        """Close the file and let another process have it."""
        with self.lock:
            if self._noted:
                with suppress(ResourceAwayError):
                    self.commit(())
            self._replay_filter.close()
            self._file.close()

    def wakes(self, wakeup: Wakeup | None = None) -> Wakeup:
        """A wakeup that rings after each commit, for the thread that asks; it may bring its own."""
        wakeup = wakeup or Wakeup()
        self._wakeups.append(wakeup)
        return wakeup

    def wake(self) -> None:
        """Wake the sinks."""
        for wakeup in self._wakeups:
            wakeup.wake()

    def states(self) -> Mapping[str, SensorState]:
        """The committed state of each sensor, by slug; never waits for a commit."""
        return dict(self._states)

    def kept(self) -> Mapping[str, Kept]:
        """What is known under each key and is no sensor's, by the key's fingerprint.

        For the thread that commits it.
        """
        return self._kept

    def commit(
        self,
        states: Iterable[SensorState],
        readings: Sequence[Reading] = (),
        heard: Iterable[bytes] = (),
        kept: Mapping[str, Kept] | None = None,
    ) -> None:
        """Make new states, readings and payloads heard durable together, then wake the sinks."""
        heard = tuple(heard)
        payloads = b"".join(heard)
        with self._writing(states, kept) as connection:
            for seq, reading in enumerate(readings, self._newest + 1):
                connection.execute(ADD_READING, row_of(Entry(seq, reading), payloads))
                payloads = b""  # with the first reading: a row of their own is a page more
            if payloads:
                connection.execute("INSERT INTO heard VALUES (?)", (payloads,))
        self._replay_filter.add(heard)
        self.wake()

    def note(self, states: Iterable[SensorState]) -> None:
        """Take up states of which only counters have changed: durable with the next commit."""
        with self.lock:
            self._noted |= {state.sensor: state for state in states}
            self._states |= self._noted

    def update(self, sensor: str, change: Callable[[SensorState], SensorState]) -> None:
        """Commit one sensor's state changed by `change`; a sensor not yet known starts empty."""
        with self.lock:
            self.commit([change(self._states.get(sensor, SensorState(sensor)))])

    def begin_era(
        self,
        era: Era,
        states: Iterable[SensorState] = (),
        date_anew: Callable[[Reading], Reading] | None = None,
        kept: Mapping[str, Kept] | None = None,
    ) -> int:
        """Note that the clock is another from the next reading on, with what that changes.

        With `date_anew` the readings of the era before are entered once more as it makes them,
        so that they are of the new era; the answer is how many.
        """
        with self._writing(states, kept) as connection:
            first, last = self._newest + 1, self._newest
            for reading in self._of_era(connection) if date_anew else ():
                if date_anew and (anew := date_anew(reading)) != reading:
                    last += 1
                    connection.execute(ADD_READING, row_of(Entry(last, anew, reading.ts)))
            era = replace(era, first_seq=first)
            self._name(connection, era=ERA.dump_json(era).decode())
        self.era = era
        self.wake()
        return last + 1 - first

    def was_heard(self, payload: bytes) -> bool:
        """Whether a payload was ever heard before, see `cw_mqtt.journal.replay_filter`."""
        known = self._replay_filter.knows(payload)
        if self._replay_filter.is_due:
            self._write_filter()
        return known

    def readings_after(self, seq: int, limit: int) -> list[Entry]:
        """The oldest readings whose sequence number is above `seq`, in order."""
        with self._file.transaction() as connection:
            return self._entries(connection, seq, limit)

    def span(self) -> tuple[int, int]:
        """The oldest kept and the newest ever given sequence number; (1, 0) when none was."""
        with self._file.transaction() as connection:
            (oldest,) = connection.execute("SELECT min(seq) FROM readings").fetchone()
            return oldest or self._newest + 1, self._newest

    def continue_after(self, seq: int, first: int) -> None:
        """Give only sequence numbers above `seq` from now on, also to the readings from `first` on.

        For a journal restored from an old copy, when the database already has later readings, up
        to `seq`: what came after the copy was restored has numbers that were used before.
        """
        more = seq + 1 - first
        with self._file.transaction() as connection:
            # below 0 first: each number must be free at the moment at which it is given
            connection.execute("UPDATE readings SET seq = -seq - ? WHERE seq >= ?", (more, first))
            connection.execute("UPDATE readings SET seq = -seq WHERE seq < 0")
            self._newest = max(seq, newest_in(connection))
            runs = {run: at + more if at >= first else at for run, at in self.runs.items()}
            self._name(connection, newest=str(self._newest), runs=RUNS.dump_json(runs).decode())
            if self.era and self.era.first_seq >= first:
                self.era = replace(self.era, first_seq=self.era.first_seq + more)
                self._name(connection, era=ERA.dump_json(self.era).decode())

    def take_installation(self, installation: str) -> None:
        """Go by the name that the database remembers, in place of a lost journal's."""
        with self._file.transaction() as connection:
            self._name(connection, installation=installation)

    def note_database(self, place: str) -> None:
        """Remember which database stores this journal's readings."""
        if place != self.database:
            with self._file.transaction() as connection:
                self._name(connection, database=place)

    def stored(self, seq: int) -> int:
        """Forget readings that are in the database (up to `seq`), except seven days' worth.

        They go by number and never by time, which may have been wrong. Beyond eight million the
        oldest go in any case; the answer is how many went unstored. They go a few hundred at a
        time, so that no commit waits long, and no page is written for each.
        """
        oldest, newest = self.span()
        kept = max(1, min(KEPT_A_SENSOR * len(self._states), MOST_READINGS))
        gone = min(seq, newest - kept, oldest + PRUNED_AT_ONCE - 1)
        lost = max(0, newest - MOST_READINGS - max(seq, oldest - 1))
        if lost:
            gone = newest - MOST_READINGS
        elif gone < oldest + PRUNED_AT_ONCE - 1:
            return 0
        with self._file.transaction() as connection:
            connection.execute("DELETE FROM readings WHERE seq <= ?", (gone,))
        return lost

    def retained_topics(self) -> set[str]:
        """Every topic under which something of ours is retained at the broker."""
        with self._file.transaction() as connection:
            return {topic for (topic,) in connection.execute("SELECT topic FROM retained")}

    def note_retained(self, added: Iterable[str], removed: Iterable[str] = ()) -> None:
        """Change the ledger of retained topics: add before publishing, remove after clearing."""
        with self._file.transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO retained VALUES (?)", [(topic,) for topic in added]
            )
            connection.executemany(
                "DELETE FROM retained WHERE topic = ?", [(topic,) for topic in removed]
            )

    @contextmanager
    def _writing(
        self, states: Iterable[SensorState], kept: Mapping[str, Kept] | None
    ) -> Iterator[sqlite3.Connection]:
        """A transaction that states are part of, and those that were noted."""
        with self.lock:
            changed = self._noted | {state.sensor: state for state in states}
            with self._file.transaction() as connection:
                for slug, state in changed.items():
                    connection.execute(SET_STATE, (SENSOR + slug, state_text(state)))
                for key, each in (kept or {}).items():
                    connection.execute(SET_STATE, (KEY + key, kept_text(each)))
                yield connection
                newest = newest_in(connection)
            self._newest = max(self._newest, newest)
            self._states |= changed
            self._kept |= kept or {}
            self._noted = {}

    def _entries(self, connection: sqlite3.Connection, seq: int, limit: int) -> list[Entry]:
        entries = []
        for row in connection.execute(READINGS_AFTER, (seq, limit)).fetchall():
            try:
                entries.append(entry_of(row))
            except ValidationError:
                log.error("the journal's reading %s is damaged, and is lost", row[0])
                connection.execute("DELETE FROM readings WHERE seq = ?", row[:1])
        return entries

    def _of_era(self, connection: sqlite3.Connection) -> Iterator[Reading]:
        """The readings that the present era has dated; there may be millions."""
        seq = self.era.first_seq - 1 if self.era else self._newest
        while seq < self._newest and (entries := self._entries(connection, seq, ENTRIES_AT_ONCE)):
            yield from (entry.reading for entry in entries if entry.seq <= self._newest)
            seq = entries[-1].seq

    def _name(self, connection: sqlite3.Connection, **values: str) -> None:
        connection.executemany(SET_STATE, values.items())
        self._names |= values

    def _write_filter(self) -> None:
        """Move what was heard of late from the rows to a filter."""
        with suppress(ResourceAwayError):
            if self._replay_filter.write():
                with self._file.transaction() as connection:
                    connection.execute("DELETE FROM heard")
                    self._name(connection, filtered=str(self._newest))
                self._replay_filter.forget_recent()

    def _take_up(self) -> list[bytes]:
        """Read what is known of before; the answer is what was heard of late, a row's in one."""
        with self._file.transaction() as connection:
            for name, text in connection.execute("SELECT name, state FROM states").fetchall():
                if name.startswith(KEY):
                    self._kept[name.removeprefix(KEY)] = read_kept(text)
                elif not name.startswith(SENSOR):
                    self._names[name] = text
                elif state := read_state(name, text):
                    self._states[state.sensor] = state
            newest = newest_in(connection)
            filtered = max(int(self._names.get("filtered", 0)), newest - MOST_RECENT)
            heard = connection.execute(HEARD_AFTER, (filtered,)).fetchall()
        with suppress(ValidationError):
            self.era = ERA.validate_json(self._names.get("era", ""))
        self._newest = max(newest, int(self._names.get("newest", 0)))
        return [payloads for (payloads,) in heard]

    def _begin_run(self) -> None:
        runs = {run: first for run, first in self.runs.items() if first <= self._newest}
        runs = dict(list(runs.items())[1 - MOST_RUNS :])
        runs[secrets.token_hex(4)] = self._newest + 1
        with self._file.transaction() as connection:
            self._name(connection, runs=RUNS.dump_json(runs).decode())

    def _known(self) -> dict[str, str]:
        """All states as texts, by the names under which they are kept."""
        states = {SENSOR + slug: state_text(state) for slug, state in self._states.items()}
        kept = {KEY + key: kept_text(each) for key, each in self._kept.items()}
        newest = {"newest": str(self._newest)} if self._names else {}
        return {**self._names, **newest, **states, **kept}


def newest_in(connection: sqlite3.Connection) -> int:
    """The highest sequence number of the readings that are there, 0 where none is."""
    return connection.execute("SELECT max(seq) FROM readings").fetchone()[0] or 0
