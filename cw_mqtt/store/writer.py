"""The stage that brings readings from the journal into the database, each exactly once."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import date

from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError

from cw_mqtt.config.settings import Settings
from cw_mqtt.journal.journal import Journal
from cw_mqtt.journal.rows import Entry
from cw_mqtt.model import JOULES_PER_KWH, SensorState
from cw_mqtt.runtime.health import Health
from cw_mqtt.store.cursor import Cursor, advance, load_cursor, refuse_other
from cw_mqtt.store.deletions import forget_some
from cw_mqtt.store.engine import place, snapshot, transaction
from cw_mqtt.store.flush import FlushRequests
from cw_mqtt.store.opening import build_rollups, day_at, known_states, prepare_database
from cw_mqtt.store.refusals import Refusals, store_by_halves
from cw_mqtt.store.retention import delete_oldest_day
from cw_mqtt.store.schema import HEAD
from cw_mqtt.store.sensors import Ids, add_entries, copy_states, link_sensors, write_providers
from cw_mqtt.store.sums import stored_sums
from cw_mqtt.store.tables import cursors

log = logging.getLogger(__name__)

STORED_AT_ONCE = 500
STORE_EVERY_S = 30
PROVE_EVERY_S = 3
FLUSH_WITHIN_S = 2
BATCHES_AT_STOP = 4

Load = Callable[[Mapping[str, SensorState], int], None]

# of a table: a new file in the place of one that was deleted has none
PROOF = select(cursors.c.seq).limit(1)


class DatabaseWriter:
    """Stores the journal's readings, and keeps a copy of each sensor's state for a lost journal.

    `load` is called each time that the database was opened, before anything is stored: with
    what it knows of the sensors, and how far it has the journal's readings. It must commit the
    sensors' states to the journal, loaded.
    """

    name = "database"
    longest_pause_s = 60.0
    when_stuck = (
        "the database does not answer: see whether its server, its disk or its network hangs, "
        "or another program locks its tables"
    )

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        journal: Journal,
        health: Health,
        load: Load,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._max_gap_s = settings.energy.max_gap_s
        self._names = {sensor.slug: sensor.name for sensor in settings.sensors}
        self._journal = journal
        self._health = health
        self._load = load
        self._clock = clock
        self._requests: FlushRequests | None = None  # while the database is open
        self._cursor = Cursor()
        self._refusals = Refusals(health)
        self._gone = journal.span()[0] - 1
        self._moved = threading.Condition()  # notified when the cursor has, or nobody stores
        self._ids: dict[str, int] = {}
        self._copied: dict[str, SensorState] = {}
        self._stored: Mapping[str, SensorState] = {}  # as of the cursor
        self._today: date | None = None
        self._losing = False
        health.show("database", "kind", value=engine.dialect.name)
        health.ask("journal", "unstored", answer=self._unstored)
        health.show("database", "place", value=place(engine.url))

    def wake(self) -> None:
        """Make a waiting `serve` look at `stopping`."""
        with self._moved:
            if self._requests:
                self._requests.request()

    def flush(self) -> None:
        """Have all that waits stored, for who is about to read it; a while is waited for that.

        While the database is unavailable nothing is waited for.
        """
        newest = self._journal.newest
        if self._cursor.seq < newest:
            self.wake()
            with self._moved:
                self._moved.wait_for(
                    lambda: not self._requests or self._cursor.seq >= newest, FLUSH_WITHIN_S
                )

    def serve(self, stopping: threading.Event, works: Callable[[], None]) -> None:
        """Store what the journal has, and then what has come each half minute, or when asked.

        A transaction writes a dozen pages, for one reading as for many. When `stopping` is set,
        a few more batches are stored; the rest waits in the journal.
        """
        self._forget_stored()  # the journal is bounded also while the database is unavailable
        if not self._open(stopping):
            return
        with closing(FlushRequests(self._settings.data_dir)) as requests:
            self._requests = requests
            try:
                while not stopping.is_set():
                    while self._store_batch() and not stopping.is_set():
                        works()
                    requests.answer()
                    self._look()
                    self._follow_prices()
                    works()
                    self._delete_old()
                    self._forget_deleted()
                    self._rest(requests, stopping, works)
                self._store_last()
            finally:
                with self._moved:
                    self._requests = None
                    self._moved.notify_all()

    def _store_last(self) -> None:
        for _ in range(BATCHES_AT_STOP):
            if not self._store_batch():
                break
        self._write(())

    def _rest(
        self, requests: FlushRequests, stopping: threading.Event, works: Callable[[], None]
    ) -> None:
        """Wait for a request; meanwhile the database has to prove that it is still there."""
        for _ in range(STORE_EVERY_S // PROVE_EVERY_S):
            if stopping.is_set() or requests.wait(PROVE_EVERY_S):
                return
            with transaction(self._engine) as connection:
                connection.execute(PROOF)
            works()

    def _open(self, stopping: threading.Event) -> bool:
        """Find or make everything in the database that the readings need; false when stopping.

        Nothing is stored before every total is loaded: its energy would be counted again.
        """
        here = place(self._engine.url)
        with transaction(self._engine) as connection:
            refuse_other(connection, self._journal, here)
        self._ids = prepare_database(self._engine, self._settings, self._clock())
        build_rollups(self._engine, self._max_gap_s, stopping)
        if stopping.is_set():
            return False
        with transaction(self._engine) as connection:
            self._cursor = load_cursor(connection, self._journal)
        self._journal.note_database(here)
        ids = {slug: self._ids[slug] for slug in self._names}
        known = known_states(self._engine, ids, self._journal, self._max_gap_s)
        self._load(known, self._cursor.seq)
        self._copied = {}
        self._write(())
        self._health.show("database", "form", value=HEAD)
        return True

    def _store_batch(self) -> bool:
        """Store the oldest readings that are not stored yet; whether there were any."""
        with self._journal.lock:
            entries = self._journal.readings_after(self._cursor.seq, STORED_AT_ONCE)
            states = self._journal.states()
        if entries:
            self._write_what_can_be(entries)
            self._forget_stored()
        if len(entries) < STORED_AT_ONCE:
            self._stored = states
        return bool(entries)

    def _write_what_can_be(self, entries: Sequence[Entry]) -> None:
        try:
            self._write(entries)
        except DBAPIError:
            # a sensor's row may have been deleted: then new ones are made, and nothing is refused
            self._ids = {}
            store_by_halves(entries, self._write, self._refuse)

    def _refuse(self, entry: Entry, error: DBAPIError) -> None:
        self._refusals.note(entry, error)
        self._write((), self._cursor.after([entry]))

    def _write(self, entries: Sequence[Entry], cursor: Cursor | None = None) -> None:
        """Readings, the cursor and the states that changed: all or none."""
        ids = self._ids_of({entry.reading.sensor for entry in entries})
        states = {
            slug: state
            for slug, state in self._journal.states().items()
            # until loaded, a state knows less than the database does
            if state.energy.loaded and state is not self._copied.get(slug)
        }
        cursor = cursor or self._cursor.after(entries)
        with transaction(self._engine) as connection:
            advance(connection, self._journal.id, self._cursor, cursor)
            add_entries(connection, entries, ids, self._max_gap_s)
            copy_states(connection, states.values())
        with self._moved:
            self._cursor = cursor
            self._moved.notify_all()
        self._copied |= states
        self._health.show("database", "position", value=cursor.seq)

    def _ids_of(self, slugs: set[str]) -> Ids:
        """The sensors' ids; a slug that has left the settings keeps its row, or gets one."""
        missing = slugs - self._ids.keys()
        if missing:
            names = {slug: self._names.get(slug, slug) for slug in missing}
            with transaction(self._engine) as connection:
                self._ids = link_sensors(connection, names)
        return self._ids

    def _forget_stored(self) -> None:
        lost = self._journal.stored(self._cursor.seq)
        if lost and not self._losing:
            log.error("the journal is full: the oldest readings are lost before they were stored")
        self._losing = lost > 0
        self._health.count("journal", "lost", by=lost)

    def _unstored(self) -> int:
        """How many readings wait; until the database was reached once, all that are kept.

        Health asks, which must not wait for the journal: its disk may hang.
        """
        return max(0, self._journal.newest - max(self._cursor.seq, self._gone))

    def _look(self) -> None:
        """See what others have changed; notice a database that went away while no reading came."""
        with snapshot(self._engine) as connection:
            sums_j = stored_sums(connection, self._max_gap_s)
        for slug in self._names.keys() & self._stored:
            energy = self._stored[slug].energy
            kwh = (sums_j.get(slug, 0.0) - (energy.total_j - energy.start_j)) / JOULES_PER_KWH
            self._health.show("corrections", slug, value=round(kwh, 3) + 0.0)  # no -0.0

    def _follow_prices(self) -> None:
        """On another day, also that of a clock set right, other prices may hold."""
        today = day_at(self._clock(), self._settings)
        if today != self._today:
            with transaction(self._engine) as connection:
                write_providers(connection, self._settings.providers, today)
            self._today = today

    def _delete_old(self) -> None:
        """Let the oldest day of measures go, if the settings say so."""
        keep = self._settings.database.keep_measures
        if keep:
            delete_oldest_day(self._engine, keep, self._clock(), self._max_gap_s)

    def _forget_deleted(self) -> None:
        """Let some go of what was deleted long ago, by a clock that is known to be right."""
        era = self._journal.era
        if era and era.confirmed:
            forget_some(self._engine, self._clock())
