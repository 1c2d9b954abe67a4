"""What the web reads and changes in the database."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime

from sqlalchemy import Connection, Engine, func, select

from cw_mqtt.config.contract import line_on
from cw_mqtt.config.settings import Settings
from cw_mqtt.measure.tariff import Contract
from cw_mqtt.records import (
    MICROSECONDS,
    Author,
    Cell,
    Deletion,
    EnergySum,
    Key,
    PeriodTotal,
    Provider,
    Range,
    StoredMeasure,
)
from cw_mqtt.store.bounded import Heavy, bounded
from cw_mqtt.store.deletions import delete_in_steps, find_chosen
from cw_mqtt.store.engine import quickly, snapshot, transaction
from cw_mqtt.store.history import cells_between, times, totals_between
from cw_mqtt.store.measures import ADD_MEASURE, measure_row
from cw_mqtt.store.ranges import count_measures, list_after, list_measures
from cw_mqtt.store.rollups import lock, refresh_locked
from cw_mqtt.store.sums import energy_sums
from cw_mqtt.store.tables import measures_types, providers, sensor_slugs, sensors

LISTED_AT_ONCE = 500
LONG_RANGE = 2 * 86400 * MICROSECONDS
LATEST_TS = 253_402_300_799  # the end of the year 9999, the last that dates can say

SENSORS = (
    select(sensors.c.id, sensors.c.name, measures_types.c.name, sensors.c.type_id)
    .join(measures_types)
    .order_by(sensors.c.id)
)
TYPES = select(measures_types.c.id, measures_types.c.name).order_by(measures_types.c.id)
# the old base's columns may be empty
PROVIDERS = select(
    providers.c.id,
    providers.c.name,
    providers.c.type_id,
    func.coalesce(providers.c.day_slope_watt_euros, 0.0).label("day_slope"),
    func.coalesce(providers.c.day_constant_watt_euros, 0.0).label("day_constant"),
    func.coalesce(providers.c.night_slope_watt_euros, 0.0).label("night_slope"),
    func.coalesce(providers.c.night_constant_watt_euros, 0.0).label("night_constant"),
    (func.coalesce(providers.c.current, 0) != 0).label("current"),
    func.coalesce(providers.c.threshold, 0).label("threshold_w"),
).order_by(providers.c.id)


class WebQueries:
    """The measures and what is known of them; every method may be called from any thread.

    Each raises `ResourceAwayError` while the database is unavailable. What is inserted or deleted
    here changes the sums of the database, never the total that is published. `flush` has what
    waits stored, so that the newest measure is always seen.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        clock: Callable[[], float] = time.time,
        flush: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._max_gap_s = settings.energy.max_gap_s
        self._contract = Contract(settings)
        self._clock = clock
        self._flush = flush
        # SQLite lets writers that meet wait for ever longer, up to a tenth of a second
        is_sqlite = engine.dialect.name == "sqlite"
        self._heavy = Heavy()
        self._deleting = Heavy()
        self._one_writer = threading.Lock() if is_sqlite else nullcontext()

    def sensors(self) -> list[tuple[int, str, str, int]]:
        """Id, name, type and type's id of each sensor."""
        with transaction(self._engine) as connection:
            return [(i, name, of, type_id) for i, name, of, type_id in connection.execute(SENSORS)]

    def types(self) -> list[tuple[int, str]]:
        """Id and name of each type of measures."""
        with transaction(self._engine) as connection:
            return [(type_id, name) for type_id, name in connection.execute(TYPES)]

    def providers(self) -> list[Provider]:
        """The contracts, with the prices of today."""
        with transaction(self._engine) as connection:
            return [
                Provider(**row, night_hours=self._night_hours(row["name"]))
                for row in connection.execute(PROVIDERS).mappings()
            ]

    def measures(self, chosen: Range, most: int) -> list[StoredMeasure]:
        """The measures of a range in order of time, then id; no more than `most` of them."""
        with self._asked(chosen) as connection:
            return list_measures(connection, chosen, most)

    def count(self, chosen: Range, most: int) -> int:
        """How many measures a range of time has; counts no further than `most`."""
        with self._asked(chosen) as connection:
            return count_measures(connection, chosen, most)

    def stream(self, chosen: Range) -> Iterator[StoredMeasure]:
        """The measures of a range of time in order of time, then id, few in memory at once.

        While somebody takes his time with them, no question is open.
        """
        last: StoredMeasure | None = None
        while True:
            with self._asked(chosen) as connection:
                some = list_after(connection, chosen, last, LISTED_AT_ONCE)
            yield from some
            if len(some) < LISTED_AT_ONCE:
                return
            last = some[-1]

    def sums(self, chosen: Range, step: int) -> list[EnergySum | None]:
        """What each `step` of a range carries; None where no measure is."""
        with self._asked(chosen) as connection:
            return energy_sums(connection, chosen, step, self._max_gap_s)

    def slugs(self) -> dict[str, int]:
        """The id of each sensor by its slug."""
        with transaction(self._engine) as connection:
            return dict(connection.execute(select(sensor_slugs)).all())

    def span(self, sensor_id: int) -> tuple[int, int] | None:
        """When a sensor's oldest and newest measures are; None without any."""
        with self._asked() as connection:
            return times(connection, sensor_id)

    def totals(self, sensor_id: int, *ranges: Sequence[int]) -> list[list[PeriodTotal]]:
        """What is used from each edge to the next, and what it costs, for each of some ranges."""
        with self._asked() as connection:
            asked = connection, self._contract, sensor_id
            return [list(totals_between(*asked, edges, self._max_gap_s)) for edges in ranges]

    def cells(self, sensor_id: int, span_s: int, from_ts: int, until_ts: int) -> list[Cell]:
        """The quarter hours (900 s) or hours (UTC) of a time that are measured and over."""
        with self._asked() as connection:
            return cells_between(connection, sensor_id, span_s, from_ts, until_ts)

    @contextmanager
    def _asked(self, chosen: Range | None = None) -> Iterator[Connection]:
        """A snapshot with all that waits stored, for a question of bounded cost.

        Raises `BusyError` when too many long ranges are being read.
        """
        self._flush()
        place = self._heavy if chosen and is_long(chosen) else nullcontext()
        with place, snapshot(self._engine) as connection, bounded(connection):
            yield connection

    def delete(self, chosen: Range, by: Author) -> Iterator[Deletion]:
        """Delete the measures of a range, those of now; yields what is deleted so far.

        Few go at a time, and then others may write. Whatever ends it early, what was yielded is
        deleted. Raises `BusyError` when too many long ranges are being deleted.
        """
        with self._asked(chosen) as connection:
            found = find_chosen(connection, chosen)
        if found is None:
            return
        with self._deleting if is_long(chosen) else nullcontext():
            yield from delete_in_steps(
                self._writing, found, by, int(self._clock()), self._max_gap_s
            )

    def insert(self, sensor_id: int, ts: int, value_w: float, *, night: bool) -> bool:
        """Add a measure, and say whether that was possible.

        It is not for an unknown sensor, after the year 9999, and where `keep_measures` has let
        the others go.
        """
        if ts > LATEST_TS:
            return False
        with self._writing() as connection:
            marks = lock(connection, [sensor_id], self._max_gap_s)
            if not marks or ts < marks[0].thinned_ts:
                return False
            quickly(connection, ADD_MEASURE, measure_row(sensor_id, ts, value_w, night=night))
            marks = [mark.with_measure(ts) for mark in marks]
            refresh_locked(connection, marks, {sensor_id: [(ts, ts)]}, self._max_gap_s)
        return True

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._one_writer, transaction(self._engine) as connection:
            yield connection

    def _night_hours(self, name: str) -> tuple[int, int] | None:
        """The first night window of a contract today; the API has room for one."""
        lines = [line for line in self._settings.providers if line.name == name]
        today = datetime.fromtimestamp(self._clock(), self._settings.timezone).date()
        night = line_on(lines, today).tariff(night=True) if lines else None
        windows = night.hours if night else ()
        return (windows[0].start_s, windows[0].end_s) if windows else None


def is_long(chosen: Range) -> bool:
    """Whether a range may have more than a few measures."""
    most = LONG_RANGE if chosen.key is Key.TIME else LISTED_AT_ONCE
    return chosen.last - chosen.first > most
