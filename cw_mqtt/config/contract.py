"""An electricity contract: its tariffs, when each holds, and what it costs.

The form with `day`, `night` and `night_hours` becomes two tariffs of these names here; nothing
else knows it.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, PlainValidator, model_validator

from cw_mqtt.config.section import Amount, Name, Section, Switch
from cw_mqtt.config.values import (
    DAY,
    DAY_S,
    HourWindow,
    expected,
    parse_days,
    parse_hours,
    parse_tariff,
    wrong,
)

DAY_TARIFF, NIGHT_TARIFF = "day", "night"

Hours = Annotated[HourWindow, PlainValidator(parse_hours), expected('hours such as "22:30-06:30"')]
Days = Annotated[
    tuple[int | date, ...],  # weekdays from Monday, 0, and single days
    PlainValidator(parse_days),
    expected("a day such as sat or 2026-01-12, or weekend or workdays"),
]


class PriceSettings(Section):
    """What energy costs by day or by night, and the monthly charge."""

    eur_per_kwh: Amount
    eur_per_month: Amount = 0


class TariffSettings(Section):
    """One price, and when it holds; without hours all day, without days on all."""

    name: Annotated[
        str, PlainValidator(parse_tariff), expected("1 to 32 of the characters a-z, 0-9 and _")
    ]
    eur_per_kwh: Amount
    hours: tuple[Hours, ...] = ()
    days: tuple[Days, ...] = ()

    def holds(self, day: date, second: int) -> bool:
        """Whether it holds at a second of a day; what goes over midnight is of the day before."""
        if not self.hours:
            return self._on(day)
        return any(
            (window.before_midnight(second) and self._on(day))
            or (window.after_midnight(second) and self._on(day - DAY))
            for window in self.hours
        )

    def _on(self, day: date) -> bool:
        return not self.days or any(day in each or day.weekday() in each for each in self.days)


class ProviderSettings(Section):
    """The tariffs of one electricity contract, of which the first that holds counts.

    They are valid `since` that day (None: always). The last one is for the rest of the time.
    """

    name: Name
    since: Annotated[date | None, expected("a day such as 2025-02-01")] = Field(
        default=None, alias="from"
    )
    current: Switch = False
    eur_per_month: Amount = 0
    tariffs: tuple[TariffSettings, ...] = ()
    day: PriceSettings | None = None
    night: PriceSettings | None = None
    night_hours: tuple[Hours, ...] = ()
    threshold_w: Annotated[int, Field(ge=0), expected("a whole number of watts from 0")] = 0

    @model_validator(mode="after")
    def _in_tariffs(self) -> Self:
        if self.tariffs:
            self._check_form()
            self._check_tariffs()
            return self
        if self.day is None:
            raise wrong("expected day, or tariffs")
        if (self.night is None) != (not self.night_hours):
            raise wrong("expected both night and night_hours, or neither")
        if "eur_per_month" in self.model_fields_set:
            raise wrong("belongs beside tariffs; with day, write it there", "eur_per_month")
        return self.model_copy(update={"tariffs": tuple(self._old_tariffs())})

    @property
    def monthly(self) -> tuple[float, float]:
        """The monthly charge by day and by night; what is due is the higher one."""
        if self.day is None:
            return self.eur_per_month, self.eur_per_month
        return self.day.eur_per_month, (self.night or self.day).eur_per_month

    @property
    def is_day_and_night(self) -> bool:
        """Whether it has two tariffs, which the night flag of a measure tells apart."""
        return len(self.tariffs) == 2 and self.tariffs[0].name == NIGHT_TARIFF

    def tariff(self, *, night: bool) -> TariffSettings:
        """What counts as day or night where nothing but these two is known.

        By night that is the tariff `night`, by day the last other one; else the only one.
        """
        alike = [tariff for tariff in self.tariffs if (tariff.name == NIGHT_TARIFF) == night]
        return (alike or self.tariffs)[-1]

    def plan(self, day: date) -> list[tuple[int, TariffSettings]]:
        """The tariffs of a day, each with the second after midnight from which it holds."""
        edges = {0} | {edge for t in self.tariffs for window in t.hours for edge in window.edges}
        found: list[tuple[int, TariffSettings]] = []
        for second in sorted(edges - {DAY_S}):
            tariff = next(t for t in self.tariffs if t.holds(day, second))
            if not found or found[-1][1] is not tariff:
                found.append((second, tariff))
        return found

    def _old_tariffs(self) -> Iterator[TariffSettings]:
        if self.night:
            price = self.night.eur_per_kwh
            yield TariffSettings(name=NIGHT_TARIFF, eur_per_kwh=price, hours=self.night_hours)
        if self.day:
            yield TariffSettings(name=DAY_TARIFF, eur_per_kwh=self.day.eur_per_kwh)

    def _check_form(self) -> None:
        for name in ("day", "night", "night_hours"):
            if name in self.model_fields_set:
                raise wrong("expected either tariffs, or day and night", name)

    def _check_tariffs(self) -> None:
        first: dict[str, int] = {}
        *others, rest = self.tariffs
        for index, tariff in enumerate(others):
            if not (tariff.hours or tariff.days):
                problem = "expected hours or days; only the last tariff, for the rest, has neither"
                raise wrong(problem, "tariffs", index)
        for name in ("hours", "days"):
            if getattr(rest, name):
                problem = "the last tariff is for the rest of the time; expected no hours or days"
                raise wrong(problem, "tariffs", len(others), name)
        for index, tariff in enumerate(self.tariffs):
            if first.setdefault(tariff.name, index) != index:
                same = f"the same as tariffs[{first[tariff.name]}].name; expected another"
                raise wrong(same, "tariffs", index, "name")
        held = {tariff.name for day in self._days_to_try() for _, tariff in self.plan(day)}
        for index, tariff in enumerate(self.tariffs):
            if tariff.name not in held:
                raise wrong(
                    "never applies: the tariffs before it cover all of its time", "tariffs", index
                )

    def _days_to_try(self) -> set[date]:
        """Each weekday in a week of which no day is named, and each named day with the next."""
        monday = date(1, 1, 8)
        named = {d for t in self.tariffs for days in t.days for d in days if isinstance(d, date)}
        return {monday + n * DAY for n in range(7)} | named | {day + DAY for day in named}


def line_on(lines: Sequence[ProviderSettings], day: date) -> ProviderSettings:
    """The line of a contract that is valid on a day.

    The first one is valid before its day too: nobody knows earlier prices, and the nearest known
    ones are the best guess.
    """
    in_order = sorted(lines, key=lambda line: line.since or date.min)
    for line, after in pairwise(in_order):
        if after.since and day < after.since:
            return line
    return in_order[-1]
