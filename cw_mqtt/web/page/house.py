"""What the pages ask: the sensors as they are now, their history, and the contract."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Protocol

from cw_mqtt.config.settings import SensorSettings, Settings
from cw_mqtt.journal.journal import Journal
from cw_mqtt.measure.tariff import Contract
from cw_mqtt.model import SensorState, is_silent
from cw_mqtt.records import Cell, PeriodTotal, Range, StoredMeasure
from cw_mqtt.runtime.health import Health
from cw_mqtt.web.endpoints import RefusedError


class HistoryQueries(Protocol):
    """The database, as the pages need it; each raises `ResourceAwayError` without it."""

    def slugs(self) -> dict[str, int]:
        """The id of each sensor by its slug."""

    def span(self, sensor_id: int) -> tuple[int, int] | None:
        """When a sensor's oldest and newest measures are."""

    def totals(self, sensor_id: int, *ranges: Sequence[int]) -> list[list[PeriodTotal]]:
        """What is used from each edge to the next, for each of some ranges."""

    def cells(self, sensor_id: int, span_s: int, from_ts: int, until_ts: int) -> list[Cell]:
        """The quarter hours or hours of a time."""

    def measures(self, chosen: Range, most: int) -> list[StoredMeasure]:
        """The measures of a range in order of time."""


def unmeasured(from_ts: int, until_ts: int) -> PeriodTotal:
    """A period without any measure."""
    return PeriodTotal(from_ts, until_ts, None, {}, 0.0, 0.0)


class House:
    """The sensors, of which the first is the house; for any thread."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        health: Health,
        queries: HistoryQueries,
        clock: Callable[[], float],
    ) -> None:
        self.settings = settings
        self.zone = settings.timezone
        self.contract = Contract(settings)
        self.journal = journal
        self.health = health
        self.queries = queries
        self.clock = clock
        self._ids: Mapping[str, int] = {}

    @property
    def is_demo(self) -> bool:
        """Whether what is shown was never measured."""
        return all(receiver.port.startswith("simulated:") for receiver in self.settings.receivers)

    def sensor(self, slug: str | None) -> SensorSettings:
        """The sensor of an address, without one the house. Raises `RefusedError`."""
        if slug is None:
            return self.settings.sensors[0]
        for sensor in self.settings.sensors:
            if sensor.slug == slug:
                return sensor
        raise RefusedError(404, "There is no such sensor.")

    def state(self, sensor: SensorSettings) -> SensorState:
        """What is known of a sensor now, whatever the database does."""
        return self.journal.states().get(sensor.slug, SensorState(sensor.slug))

    def is_silent(self, sensor: SensorSettings, now_ts: float) -> bool:
        """Whether it was not heard for too long."""
        return is_silent(self.state(sensor), sensor.availability_timeout_s, now_ts)

    def measured_until(self, sensor: SensorSettings) -> int:
        """Until when a time that is not over can have been measured: up to the newest reading.

        After a gap that is now: what comes after a sensor fell silent is not measured.
        """
        now_ts, latest = int(self.clock()), self.state(sensor).latest
        if latest and 0 <= now_ts - latest.ts <= self.settings.energy.max_gap_s:
            return latest.ts + 1
        return now_ts

    def sensor_id(self, sensor: SensorSettings) -> int | None:
        """Its number in the database, None before the database has seen it."""
        if sensor.slug not in self._ids:
            self._ids = self.queries.slugs()
        return self._ids.get(sensor.slug)

    def totals(self, sensor: SensorSettings, *ranges: Sequence[int]) -> list[list[PeriodTotal]]:
        """What it used from each edge to the next, for each of some ranges."""
        sensor_id = self.sensor_id(sensor)
        if sensor_id is None:
            return [[unmeasured(*period) for period in pairwise(edges)] for edges in ranges]
        return self.queries.totals(sensor_id, *ranges)
