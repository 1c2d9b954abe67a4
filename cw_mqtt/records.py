"""What the database has for those who ask: measures, ranges, sums, users, deletions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from cw_mqtt.model import JOULES_PER_KWH

MICROSECONDS = 1_000_000  # in a second


class StoredMeasure(NamedTuple):
    """A row of `measures`; `night_rate` is 1 by night, 0 by day, -1 when the old base knew not.

    A tuple, since lists of them are long and a dataclass takes three times as long to make.
    """

    id: int
    sensor_id: int
    timestamp: int
    value_w: float
    night_rate: int


class Key(StrEnum):
    """What a range of measures is counted by."""

    ID = "id"  # the row's; one sequence over all sensors
    POSITION = "position"  # from the end in order of time: -1 is the newest, 0 the end
    TIME = "time"  # microseconds since the epoch, so that bounds may have decimals


@dataclass(frozen=True, slots=True)
class Range:
    """One sensor's measures from `first` up to but not including `last`, counted by `key`."""

    sensor_id: int
    key: Key
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is logged in; `used_ts` is right to the day."""

    number: int
    begun_ts: int
    used_ts: int
    address: str
    browser: str


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes measures over the API, and from which address."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """Measures of one sensor that were deleted by one call, from `first_ts` to `last_ts`.

    `measures` of them can be brought back with its `number`.
    """

    number: int
    sensor_id: int
    at_ts: int
    by: Author
    first_ts: int
    last_ts: int
    measures: int


@dataclass(frozen=True, slots=True)
class EnergySum:
    """What some measures, at least one, carry together.

    `seconds` is the measured time; `day_w` and `night_w` add up the values, of which `min_w` is
    the lowest and `max_w` the highest.
    """

    measures: int
    seconds: int
    day_j: float
    night_j: float
    day_w: float
    night_w: float
    min_w: float
    max_w: float

    @property
    def mean_w(self) -> tuple[float, float]:
        """Mean power by day and by night: two parts that add up to it.

        Measures that carry no time have the mean of their values.
        """
        if self.seconds:
            return self.day_j / self.seconds, self.night_j / self.seconds
        return self.day_w / self.measures, self.night_w / self.measures

    @property
    def kwh(self) -> tuple[float, float]:
        """Energy by day and by night."""
        return self.day_j / JOULES_PER_KWH, self.night_j / JOULES_PER_KWH

    def __add__(self, other: "EnergySum") -> "EnergySum":
        return EnergySum(
            self.measures + other.measures,
            self.seconds + other.seconds,
            self.day_j + other.day_j,
            self.night_j + other.night_j,
            self.day_w + other.day_w,
            self.night_w + other.night_w,
            min(self.min_w, other.min_w),
            max(self.max_w, other.max_w),
        )


class Cell(NamedTuple):
    """What the measures of a quarter hour or an hour carry: measured time, energy, highest W."""

    start_ts: int
    seconds: int
    energy_j: float
    max_w: float

    @property
    def mean_w(self) -> float:
        """Mean power of the measured time."""
        return self.energy_j / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class PeriodTotal:
    """What one sensor used in a period, and what that costs at the prices valid then.

    `energy` is None where no measure is. `tariffs_j` is its energy by tariff, `energy_cost` its
    price and `standing_charge` the monthly charge by days; both are 0 without any measure.
    """

    from_ts: int
    until_ts: int
    energy: EnergySum | None
    tariffs_j: Mapping[str, float]
    energy_cost: float
    standing_charge: float

    @property
    def kwh(self) -> float:
        """All energy."""
        return sum(self.energy.kwh) if self.energy else 0.0

    @property
    def cost(self) -> float:
        """Energy and standing charge."""
        return self.energy_cost + self.standing_charge

    @property
    def seconds(self) -> int:
        """The measured time."""
        return self.energy.seconds if self.energy else 0

    @property
    def measured(self) -> float:
        """The measured part of the time, from 0 to 1."""
        return min(1.0, self.seconds / max(1, self.until_ts - self.from_ts))


@dataclass(frozen=True, slots=True)
class Provider:
    """A row of `providers`; slopes are per kWh, constants per month, the threshold in W.

    `night_hours` are the seconds after midnight between which it is night, where known.
    """

    id: int
    name: str
    type_id: int
    day_slope: float
    day_constant: float
    night_slope: float
    night_constant: float
    current: bool
    threshold_w: int
    night_hours: tuple[int, int] | None = None


class Role(StrEnum):
    """What a caller of the web may do: look, or also insert and delete measures."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Account:
    """Who may log in; `password_hash` is as the web wrote it, or as the old base did."""

    login: str
    role: Role
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    """What lets a program in; `used_ts` is the day of its last use, None before the first."""

    name: str
    role: Role
    created_ts: int
    used_ts: int | None


PERIOD_COLUMNS = (
    *("sensor", "from", "until", "kwh", "day_kwh", "night_kwh", "mean_w", "min_w", "max_w"),
    "measured_s",
)
COST_COLUMNS = ("cost", "currency")
DIGITS = 9  # of kWh and mean W: sums of rows are as exact as they are


def period_row(
    sensor: str, total: PeriodTotal, time: Callable[[int], str], currency: str | None
) -> tuple[object, ...]:
    """A period as exports write it; without a contract it has no `COST_COLUMNS`.

    Only the measured time is known where no measure is.
    """
    row = (sensor, time(total.from_ts), time(total.until_ts), *_energy_columns(total.energy))
    return (*row, round(total.cost, DIGITS), currency) if currency else row


def _energy_columns(energy: EnergySum | None) -> tuple[object, ...]:
    if energy is None:
        return (*[None] * 6, 0)
    day_kwh, night_kwh = energy.kwh
    numbers = (day_kwh + night_kwh, day_kwh, night_kwh, sum(energy.mean_w))
    rounded = (round(number, DIGITS) for number in numbers)
    return (*rounded, energy.min_w, energy.max_w, energy.seconds)
