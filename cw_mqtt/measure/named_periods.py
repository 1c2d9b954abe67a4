"""The periods that a page has an address for: `day/2026-11-25`, `week/2026-W48`, `years`."""

from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, date, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from cw_mqtt.measure.periods import STEPS, day_start, local_day, period_edges

# the step of the whole, that of its bars, and the kind of period that a bar is
KINDS = {
    "day": ("1d", "1h", None),
    "week": ("1w", "1d", "day"),
    "month": ("1month", "1d", "day"),
    "year": ("1y", "1month", "month"),
}
FORMATS = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m", "year": "%Y"}
YEARS = range(MINYEAR + 1, MAXYEAR - 1)  # weeks and neighbours must be dates too


@dataclass(frozen=True, slots=True)
class NamedPeriod:
    """A day, week, month or year of the local calendar, by its kind and its first day."""

    kind: str
    first_day: date

    @classmethod
    def around(cls, kind: str, day: date) -> Self:
        """The period of a kind in which a day lies."""
        return cls(kind, STEPS[KINDS[kind][0]].first_day(day))

    @classmethod
    def parse(cls, kind: str, name: str) -> Self:
        """The period of an address such as `week/2026-W48`. Raises `ValueError`."""
        text = {"week": f"{name}-1", "month": f"{name}-01", "year": f"{name}-01-01"}.get(kind, name)
        period = cls.around(kind, date.fromisoformat(text))
        if period.name != name or period.first_day.year not in YEARS:
            raise ValueError(
                f"expected a {kind} such as {cls.around(kind, date(2026, 11, 25)).name}"
            )
        return period

    @property
    def name(self) -> str:
        """Its part of the address."""
        return self.first_day.strftime(FORMATS[self.kind])

    @property
    def next_day(self) -> date:
        """The first day after it."""
        step = STEPS[KINDS[self.kind][0]]
        return step.first_day(self.first_day + timedelta(days=step.days))

    @property
    def next(self) -> "NamedPeriod":
        """The one of the same kind after it."""
        return NamedPeriod(self.kind, self.next_day)

    @property
    def previous(self) -> "NamedPeriod":
        """The one of the same kind before it."""
        return NamedPeriod.around(self.kind, self.first_day - timedelta(days=1))

    @property
    def year_before(self) -> "NamedPeriod":
        """The same one a year before: of a day and a week the same weekday."""
        weeks = timedelta(weeks=52)
        if self.kind in ("day", "week"):
            return NamedPeriod(self.kind, self.first_day - weeks)
        return NamedPeriod(self.kind, self.first_day.replace(year=self.first_day.year - 1))

    def bounds(self, zone: ZoneInfo) -> tuple[int, int]:
        """Its first second, and the first one after it."""
        return day_start(self.first_day, zone), day_start(self.next_day, zone)

    def edges(self, zone: ZoneInfo) -> list[int]:
        """Where its bars begin, and its end: hours of a day, days of a month, months of a year."""
        return list(period_edges(*self.bounds(zone), STEPS[KINDS[self.kind][1]], zone))

    def part(self, ts: int, zone: ZoneInfo) -> "NamedPeriod | None":
        """The period that the bar beginning at an instant is; None for the hours of a day."""
        kind = KINDS[self.kind][2]
        return NamedPeriod.around(kind, local_day(ts, zone)) if kind else None
