"""Tariffs: which one holds when, and what energy costs then. Pure.

A price is a function of time alone, and costs are that function over the sums of quarter hours.
So dated prices, any number of tariffs and, one day, prices of each hour need nothing in store.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import pairwise
from typing import NamedTuple

from cw_mqtt.config.contract import (
    DAY_TARIFF,
    NIGHT_TARIFF,
    ProviderSettings,
    TariffSettings,
    line_on,
)
from cw_mqtt.config.settings import Settings
from cw_mqtt.config.values import DAY_S
from cw_mqtt.measure.periods import day_start, months_between
from cw_mqtt.model import JOULES_PER_KWH, Reading

QUARTER_S = 900

NO_CONTRACT = ProviderSettings.model_validate(
    {"name": "none", "tariffs": [{"name": DAY_TARIFF, "eur_per_kwh": 0}]}
)

Plan = Sequence[tuple[int, TariffSettings]]  # of a day: seconds after midnight, and what holds


class Quarter(NamedTuple):
    """What the measures of a quarter hour, or of a part of it, carry by their night flags."""

    start_ts: int
    day_j: float
    night_j: float


@dataclass(slots=True)
class Bill:
    """Energy in J by tariff, and what it costs without the monthly charge."""

    energy_j: dict[str, float] = field(default_factory=dict)
    cost: float = 0.0

    def add(self, tariff: TariffSettings, energy_j: float) -> None:
        """Add energy of a tariff."""
        self.energy_j[tariff.name] = self.energy_j.get(tariff.name, 0.0) + energy_j
        self.cost += energy_j / JOULES_PER_KWH * tariff.eur_per_kwh


class Contract:
    """The current contract of the settings, over all times its prices changed.

    Without any, all energy is of the tariff `day` and costs nothing.
    """

    def __init__(self, settings: Settings) -> None:
        self._zone = settings.timezone
        self._lines = tuple(line for line in settings.providers if line.current) or (NO_CONTRACT,)
        self._plans: dict[date, tuple[ProviderSettings, Plan]] = {}
        self.currency = settings.energy.currency if settings.providers else None
        self.limited = any(line.threshold_w for line in self._lines)

    @property
    def tariffs(self) -> list[str]:
        """The names of all tariffs that it has, or had; none where there never was a choice."""
        names = sorted({tariff.name for line in self._lines for tariff in line.tariffs})
        return names if len(names) > 1 else []

    def tariff_at(self, ts: int) -> TariffSettings:
        """The tariff that holds at an instant."""
        return self._at(ts)[0]

    def changes(self, from_ts: int, until_ts: int) -> Iterator[tuple[int, TariffSettings]]:
        """The tariff with which a time begins, and each other one with its first second."""
        ts, before = from_ts, None
        while ts < until_ts:
            tariff, seconds = self._at(ts)
            if tariff is not before:
                yield ts, tariff
            before = tariff
            ts += min(seconds, QUARTER_S - ts % QUARTER_S)  # clocks change at whole quarters

    def threshold_w(self, ts: int) -> int:
        """The power that is subscribed to at an instant; 0 for an unknown one."""
        return self._line_at(ts).threshold_w

    def is_night(self, ts: int) -> bool:
        """What the old tables and the old API know of an instant's tariff."""
        return self.tariff_at(ts).name == NIGHT_TARIFF

    def overload(self, reading: Reading) -> bool | None:
        """Whether a reading exceeds the power of the contract; None on a day without a limit."""
        threshold_w = self._line_at(reading.ts).threshold_w
        return reading.power_w > threshold_w if threshold_w else None

    def shares(self, quarter_ts: int) -> list[tuple[TariffSettings, float, float]]:
        """Which part of a quarter hour's energy is of which tariff, by day and by night.

        Measures say themselves whether they are of the night: those are of the tariff `night`,
        where the contract has one then. The others belong to the other tariffs by their seconds.
        """
        line, parts = self._line_at(quarter_ts), list(self._parts(quarter_ts))
        night = line.tariff(night=True)
        if night.name != NIGHT_TARIFF:
            return [(tariff, s / QUARTER_S, s / QUARTER_S) for tariff, s in parts]
        others = [part for part in parts if part[0].name != NIGHT_TARIFF]
        others = others or [(line.tariff(night=False), QUARTER_S)]
        seconds = sum(s for _, s in others)
        return [(night, 0.0, 1.0), *((tariff, s / seconds, 0.0) for tariff, s in others)]

    def bill(self, quarters: Iterable[Quarter]) -> Bill:
        """What the energy of quarter hours costs, and how much of it is of which tariff."""
        bill = Bill()
        for start_ts, day_j, night_j in quarters:
            for tariff, by_day, by_night in self.shares(start_ts):
                bill.add(tariff, by_day * day_j + by_night * night_j)
        return bill

    def standing_charge(self, from_ts: int, until_ts: int) -> float:
        """The monthly charges of a period, by days."""
        return math.fsum(
            months_between(*part, self._zone) * max(self._line_at(part[0]).monthly)
            for part in pairwise(self._cut_at_changes(from_ts, until_ts))
        )

    def cut(self, edges: Iterable[int]) -> Iterator[int]:
        """The edges of periods that follow each other, and of the parts that `bill` can price.

        Those are quarter hours; where the night flags tell all, the times between new prices.
        """
        last_ts: int | None = None
        for from_ts, until_ts in pairwise(edges):
            yield from self._cut_one(from_ts, until_ts)
            last_ts = until_ts
        if last_ts is not None:
            yield last_ts

    def _cut_one(self, from_ts: int, until_ts: int) -> Iterable[int]:
        """The edges of the parts of one period, without its end."""
        if all(len(line.tariffs) == 1 or line.is_day_and_night for line in self._lines):
            return self._cut_at_changes(from_ts, until_ts)[:-1]
        first_ts = from_ts + QUARTER_S - from_ts % QUARTER_S
        return (from_ts, *range(first_ts, until_ts, QUARTER_S))

    def _cut_at_changes(self, from_ts: int, until_ts: int) -> list[int]:
        """The edges of a period, and when in it a new line becomes valid."""
        starts = (day_start(line.since, self._zone) for line in self._lines if line.since)
        return [from_ts, *sorted(ts for ts in starts if from_ts < ts < until_ts), until_ts]

    def _line_at(self, ts: int) -> ProviderSettings:
        return self._on(datetime.fromtimestamp(ts, self._zone).date())[0]

    def _on(self, day: date) -> tuple[ProviderSettings, Plan]:
        if day not in self._plans:
            line = line_on(self._lines, day)
            self._plans[day] = line, line.plan(day)
        return self._plans[day]

    def _at(self, ts: int) -> tuple[TariffSettings, int]:
        """The tariff at an instant, and how many seconds it holds at least by the clock."""
        local = datetime.fromtimestamp(ts, self._zone)
        second = local.hour * 3600 + local.minute * 60 + local.second
        _, plan = self._on(local.date())
        index = bisect_right(plan, second, key=lambda entry: entry[0])
        end = plan[index][0] if index < len(plan) else DAY_S
        return plan[index - 1][1], end - second

    def _parts(self, quarter_ts: int) -> Iterator[tuple[TariffSettings, int]]:
        """The tariffs of a quarter hour, within which clocks do not change, and their seconds."""
        ts, end_ts = quarter_ts, quarter_ts + QUARTER_S
        while ts < end_ts:
            tariff, seconds = self._at(ts)
            yield tariff, min(seconds, end_ts - ts)
            ts += seconds
