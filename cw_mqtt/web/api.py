"""The HTTP API of the CitizenWatt base: what each path answers."""

from collections.abc import Callable, Iterable, Iterator
from decimal import ROUND_CEILING, Decimal
from itertools import chain, islice
from typing import Any, Protocol

from cw_mqtt.records import (
    MICROSECONDS,
    Author,
    Deletion,
    EnergySum,
    Key,
    Provider,
    Range,
    StoredMeasure,
)
from cw_mqtt.web import schemas as schemas
from cw_mqtt.web.changes import Changes
from cw_mqtt.web.endpoints import Endpoint, Kind, RefusedError
from cw_mqtt.web.schemas import Schema

MICROSECOND = Decimal("1e-6")
MOST_LISTED = 100_000
INSERT = "/api/<sensor>/insert"
FEW = 500
MOST_GROUPS = 10_000

Answer = dict[str, Any] | list[Any] | Iterator[Any] | float | bool | None


class WebQueries(Protocol):
    """The database, as the API needs it; each raises `ResourceAwayError` without it."""

    def sensors(self) -> list[tuple[int, str, str, int]]:
        """Id, name, type and type's id of each sensor."""

    def types(self) -> list[tuple[int, str]]:
        """Id and name of each type of measures."""

    def providers(self) -> list[Provider]:
        """The contracts."""

    def measures(self, chosen: Range, most: int) -> list[StoredMeasure]:
        """The measures of a range in order of time; no more than `most` of them."""

    def count(self, chosen: Range, most: int) -> int:
        """How many measures a range of time has; counts no further than `most`."""

    def stream(self, chosen: Range) -> Iterator[StoredMeasure]:
        """The measures of a range of time in order of time, few in memory at once."""

    def sums(self, chosen: Range, step: int) -> list[EnergySum | None]:
        """What each `step` of a range carries; None where no measure is."""

    def delete(self, chosen: Range, by: Author) -> Iterator[Deletion]:
        """Delete the measures of a range; yields what is deleted so far."""

    def insert(self, sensor_id: int, ts: int, value_w: float, *, night: bool) -> bool:
        """Add a measure; whether that was possible."""


class Api:
    """Answers the calls; `changes` hears of each change.

    `max_returned_values` is how far apart two ids may be.
    """

    def __init__(
        self,
        queries: WebQueries,
        changes: Changes,
        max_returned_values: int,
        clock: Callable[[], float],
    ) -> None:
        self._queries = queries
        self._changes = changes
        self._max_returned_values = max_returned_values
        self._clock = clock

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The table of all paths."""
        get, delete, insert = (f"/api/<sensor>/{what}" for what in ("get", "delete", "insert"))
        id_range, time_range = "by_id/<id1>/<id2>", "by_time/<time1>/<time2>"
        kinds: dict[Kind, dict[str, tuple[Callable[..., Answer], Schema]]] = {
            Kind.SETTING: {
                "/api/sensors": (self.sensors, schemas.SENSORS),
                "/api/sensors/<sensor>": (self.sensor, schemas.SENSOR),
                "/api/types": (self.types, schemas.TYPES),
                "/api/time": (self.time, schemas.NUMBER),
                "/api/energy_providers": (self.providers, schemas.PROVIDERS),
                "/api/energy_providers/<provider>": (self.provider, schemas.PROVIDER),
                "/api/<provider>/watt_to_euros/<tariff>/<consumption>": (
                    self.watt_to_euros,
                    schemas.EUROS,
                ),
            },
            Kind.READING: {
                f"{get}/watts/by_id/<id1>": (self.measure_by_id, schemas.MEASURE),
                f"{get}/<unit>/{id_range}": (self.by_id, schemas.MEASURES_OR_SUM),
                f"{get}/<unit>/{id_range}/<step>": (self.groups_by_id, schemas.GROUPS),
                f"{get}/watts/by_time/<time1>": (self.measure_by_time, schemas.MEASURE),
                f"{get}/<unit>/{time_range}": (self.by_time, schemas.MEASURES_OR_SUM),
                f"{get}/<unit>/{time_range}/<step_s>": (self.groups_by_time, schemas.GROUPS),
            },
            Kind.CHANGE: {
                f"{delete}/by_id/<id1>": (self.delete_measure_by_id, schemas.COUNT),
                f"{delete}/{id_range}": (self.delete_by_id, schemas.COUNT),
                f"{delete}/by_time/<time1>": (self.delete_measure_by_time, schemas.COUNT),
                f"{delete}/{time_range}": (self.delete_by_time, schemas.COUNT),
                f"{insert}/<value>/<timestamp>/<night_rate>": (self.insert, schemas.DONE),
            },
        }
        return tuple(
            Endpoint(path, answer, shape, kind)
            for kind, table in kinds.items()
            for path, (answer, shape) in table.items()
        )

    def sensors(self) -> Answer:
        """All sensors; null when there are none."""
        return self._sensors() or None

    def sensor(self, sensor: int) -> Answer:
        """One sensor; null when no sensor has this number."""
        return next((row for row in self._sensors() if row["id"] == sensor), None)

    def types(self) -> Answer:
        """The types of measures; null when there are none."""
        return [{"id": type_id, "name": name} for type_id, name in self._queries.types()] or None

    def time(self) -> Answer:
        """The time of this computer, in seconds since 1970 UTC."""
        return self._clock()

    def providers(self) -> Answer:
        """All contracts; null when there are none."""
        return [provider_row(provider) for provider in self._queries.providers()] or None

    def provider(self, provider: int | None) -> Answer:
        """One contract; null when no contract has this number."""
        found = self._provider(provider)
        return provider_row(found) if found else None

    def watt_to_euros(self, provider: int | None, tariff: str, consumption: float) -> Answer:
        """What so many kWh cost, without the monthly constant; null for an unknown contract."""
        found = self._provider(provider)
        if found is None:
            return None
        return consumption * (found.night_slope if tariff == "night" else found.day_slope)

    def measure_by_id(self, sensor: int, id1: int) -> Answer:
        """One measure; null when this sensor has none of this id."""
        return self._one(single_id(sensor, id1))

    def measure_by_time(self, sensor: int, time1: Decimal) -> Answer:
        """The first measure at exactly this time; null when there is none."""
        return self._one(single_time(sensor, time1))

    def by_id(self, sensor: int, unit: str, id1: int, id2: int) -> Answer:
        """The measures with these ids (watts), or their energy or its cost; null for none."""
        chosen = range_of_ids(sensor, id1, id2)
        self._refuse_many_ids(chosen)
        if unit != "watts":
            return self._total(unit, chosen)
        found = self._queries.measures(chosen, chosen.last - chosen.first)
        return [measure_row(measure) for measure in found] or None

    def by_time(self, sensor: int, unit: str, time1: Decimal, time2: Decimal) -> Answer:
        """The measures between two times (watts), or their energy or its cost; null for none."""
        chosen = range_of_time(sensor, time1, time2)
        if unit != "watts":
            return self._total(unit, chosen)
        found = self._queries.stream(chosen)
        few = min(FEW, MOST_LISTED + 1)
        first = list(islice(found, few))  # which most lists are, so that they need not be counted
        if len(first) == few and self._queries.count(chosen, MOST_LISTED + 1) > MOST_LISTED:
            raise RefusedError(403, f"time1 and time2: more than {MOST_LISTED} measures between")
        return map(measure_row, chain(first, found)) if first else None

    def groups_by_id(self, sensor: int, unit: str, id1: int, id2: int, step: int) -> Answer:
        """Mean power, energy or cost of each group of ids, null for an empty one or for none."""
        chosen = range_of_ids(sensor, id1, id2)
        self._refuse_many_ids(chosen)
        groups = self._groups(unit, chosen, step, "id1 and id2")
        return groups if any(groups) else None

    def groups_by_time(
        self, sensor: int, unit: str, time1: Decimal, time2: Decimal, step_s: float
    ) -> Answer:
        """Mean power, energy or cost of each step of time, null for an empty one."""
        chosen = range_of_time(sensor, time1, time2)
        return self._groups(unit, chosen, microseconds(step_s), "time1 and time2")

    def delete_measure_by_id(self, sensor: int, id1: int, by: Author) -> Answer:
        """Deletes one measure and answers 1; null when there was none."""
        return self._delete(single_id(sensor, id1), by)

    def delete_measure_by_time(self, sensor: int, time1: Decimal, by: Author) -> Answer:
        """Deletes the measures at exactly this time; how many there were, null for none."""
        return self._delete(single_time(sensor, time1), by)

    def delete_by_id(self, sensor: int, id1: int, id2: int, by: Author) -> Answer:
        """Deletes the measures with these ids; how many there were, null for none."""
        return self._delete(range_of_ids(sensor, id1, id2), by)

    def delete_by_time(self, sensor: int, time1: Decimal, time2: Decimal, by: Author) -> Answer:
        """Deletes the measures between two times; how many there were, null for none."""
        return self._delete(range_of_time(sensor, time1, time2), by)

    def insert(
        self, sensor: int, value: float, timestamp: int, night_rate: int, by: Author
    ) -> Answer:
        """Adds a measure; false for no such sensor, after the year 9999, or before what is kept."""
        is_added = self._queries.insert(sensor, timestamp, value, night=night_rate != 0)
        if is_added:
            self._changes.inserted(by, sensor, timestamp)
        return is_added

    def _delete(self, chosen: Range, by: Author) -> int | None:
        deleted: Deletion | None = None
        try:
            for so_far in self._queries.delete(chosen, by):
                deleted = so_far
        finally:  # what is deleted is told, also when the database goes away before the rest is
            if deleted:
                self._changes.deleted(deleted)
        return deleted.measures if deleted else None

    def _sensors(self) -> list[dict[str, Any]]:
        names = ("id", "name", "type", "type_id")
        return [dict(zip(names, row, strict=True)) for row in self._queries.sensors()]

    def _provider(self, number: int | None) -> Provider | None:
        """The contract of this number, or for None the current one."""
        for provider in self._queries.providers():
            if provider.id == number or (number is None and provider.current):
                return provider
        return None

    def _refuse_many_ids(self, chosen: Range) -> None:
        most = self._max_returned_values
        if chosen.last - chosen.first > most:
            raise RefusedError(403, f"id1 and id2: at most {most} apart (web.max_returned_values)")

    def _one(self, chosen: Range) -> Answer:
        found = self._queries.measures(chosen, 1)
        return measure_row(found[0]) if found else None

    def _total(self, unit: str, chosen: Range) -> Answer:
        if chosen.first == chosen.last:
            return None
        return self._told(unit, self._queries.sums(chosen, chosen.last - chosen.first))[0]

    def _groups(self, unit: str, chosen: Range, step: int, bounds: str) -> list[Answer]:
        if chosen.first == chosen.last:
            raise RefusedError(400, f"{bounds}: expected the second above the first")
        if chosen.last - chosen.first > MOST_GROUPS * step:
            raise RefusedError(403, f"step: more than {MOST_GROUPS} groups; expected a longer one")
        return self._told(unit, self._queries.sums(chosen, step))

    def _told(self, unit: str, sums: Iterable[EnergySum | None]) -> list[Answer]:
        """Sums in the unit that was asked for; a cost without a current contract is null."""
        prices = self._provider(None) if unit == "euros" else None
        tell: dict[str, Callable[[EnergySum], Answer]] = {
            "watts": lambda s: in_tariffs(*s.mean_w),
            "kwatthours": lambda s: in_tariffs(*s.kwh),
            "euros": lambda s: {"value": cost(prices, *s.kwh)} if prices else None,
        }
        return [tell[unit](found) if found else None for found in sums]


def single_id(sensor: int, number: int) -> Range:
    """The measure with this id, or below 0 counted from the end."""
    return Range(sensor, Key.POSITION if number < 0 else Key.ID, number, number + 1)


def single_time(sensor: int, ts: Decimal) -> Range:
    """This time alone; between two seconds no measure is."""
    start = instant(ts)
    return Range(sensor, Key.TIME, start, start + (ts == ts.to_integral_value()))


def range_of_ids(sensor: int, id1: int, id2: int) -> Range:
    """Ids, or positions from the end when they begin below 0."""
    if id2 < id1:
        raise RefusedError(400, "id2: expected no less than id1")
    if id1 < 0 < id2:
        raise RefusedError(400, "id1 and id2: expected both from 0, or both up to 0")
    return Range(sensor, Key.POSITION if id1 < 0 else Key.ID, id1, id2)


def range_of_time(sensor: int, time1: Decimal, time2: Decimal) -> Range:
    """What was measured from `time1` to before `time2`."""
    if time2 < time1:
        raise RefusedError(400, "time2: expected no less than time1")
    return Range(sensor, Key.TIME, instant(time1), instant(time2))


def instant(ts: Decimal) -> int:
    """A time as ranges count it, rounded up: whole seconds before it stay before it."""
    return int(ts.quantize(MICROSECOND, ROUND_CEILING).scaleb(6))


def microseconds(seconds: float) -> int:
    """A duration as ranges count it."""
    return round(seconds * MICROSECONDS)


def measure_row(measure: StoredMeasure) -> dict[str, float]:
    """A measure as the API tells it; a tariff that the old base did not know is day."""
    return {
        "id": measure.id,
        "sensor_id": measure.sensor_id,
        "value": measure.value_w,
        "timestamp": measure.timestamp,
        "night_rate": int(measure.night_rate == 1),
    }


def provider_row(provider: Provider) -> dict[str, Any]:
    """A contract as the API tells it, with its night hours when the prices differ."""
    row = {
        "id": provider.id,
        "name": provider.name,
        "type_id": provider.type_id,
        "day_slope_watt_euros": provider.day_slope,
        "day_constant_watt_euros": provider.day_constant,
        "night_slope_watt_euros": provider.night_slope,
        "night_constant_watt_euros": provider.night_constant,
        "current": int(provider.current),
        "threshold": provider.threshold_w,
    }
    if provider.night_hours and provider.day_slope != provider.night_slope:
        start, end = (f"{s // 3600:02}:{s // 60 % 60:02}" for s in provider.night_hours)
        row |= {"start_night_rate": start, "end_night_rate": end}
    return row


def in_tariffs(day: float, night: float) -> dict[str, float]:
    """A value and its two parts."""
    return {"value": day + night, "day_rate": day, "night_rate": night}


def cost(prices: Provider, day_kwh: float, night_kwh: float) -> float:
    """Euros, without the monthly constant."""
    return day_kwh * prices.day_slope + night_kwh * prices.night_slope
