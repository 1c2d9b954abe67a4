"""Periods of the local calendar: quarter hours to years, right when the clocks change."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cw_mqtt.config.values import DAY

LAST_TS = 253_339_228_800  # the year 9998; periods after it would reach beyond what dates can say


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of period: a part of a day, or from one first day to the next.

    `days` is the most that it has; each day begins with a new one of `seconds`, whose last may
    be shorter when the clocks change.
    """

    first_day: Callable[[date], date]
    days: int
    seconds: int = 2 * 366 * 86400  # longer than any period: not cut further


def same_day(day: date) -> date:
    """The day itself."""
    return day


def first_of_month(day: date) -> date:
    """The first day of its month."""
    return day.replace(day=1)


STEPS = {
    "15m": Step(same_day, 1, 900),
    "1h": Step(same_day, 1, 3600),
    "1d": Step(same_day, 1),
    "1w": Step(lambda day: day - timedelta(days=day.weekday()), 7),
    "1month": Step(first_of_month, 31),
    "1y": Step(lambda day: day.replace(month=1, day=1), 366),
}


def local_day(ts: int, zone: ZoneInfo) -> date:
    """The day of an instant."""
    return datetime.fromtimestamp(ts, zone).date()


def day_start(day: date, zone: ZoneInfo) -> int:
    """The first second of a day, also where the clocks change at midnight."""
    return int(datetime.combine(day, time(), zone).timestamp())


def period_start(ts: int, step: Step, zone: ZoneInfo) -> int:
    """When the first day of the period around an instant begins."""
    return day_start(step.first_day(local_day(ts, zone)), zone)


def period_edges(from_ts: int, until_ts: int, step: Step, zone: ZoneInfo) -> Iterator[int]:
    """A range cut where periods begin: its start, every cut in it, and its end."""
    yield from_ts
    day = step.first_day(local_day(from_ts, zone))
    ts = day_start(day, zone)
    while ts < until_ts:
        day = step.first_day(day + timedelta(days=step.days))
        next_ts = day_start(day, zone)
        cuts = range(ts, next_ts, step.seconds)
        yield from (cut for cut in cuts if from_ts < cut < until_ts)
        ts = next_ts
    yield until_ts


def months_between(from_ts: int, until_ts: int, zone: ZoneInfo) -> float:
    """How many months a time is.

    Each day is the same part of its month, the 28th to the 31st, however many hours it has.
    """
    parts = []
    day = local_day(from_ts, zone)
    start_ts = day_start(day, zone)
    while start_ts < until_ts:
        end_ts = day_start(day + DAY, zone)
        seconds = min(end_ts, until_ts) - max(start_ts, from_ts)
        if seconds > 0:  # islands have skipped a day
            parts.append(seconds / (end_ts - start_ts) / days_in_month(day))
        day, start_ts = day + DAY, end_ts
    return math.fsum(parts)


def days_in_month(day: date) -> int:
    """How many days its month has."""
    first = first_of_month(day)
    return (first_of_month(first + timedelta(days=31)) - first).days


def instant_of(text: str, zone: ZoneInfo) -> int:
    """The instant that an ISO 8601 text means, in seconds; parts of a second are dropped.

    A day means its start. Without an offset the time is local; one that comes twice, when the
    clocks are set back, is the first of the two.
    Raises `ValueError` in words.
    """
    try:
        return day_start(date.fromisoformat(text), zone)
    except ValueError:
        pass
    try:
        given = datetime.fromisoformat(text)
        at = given if given.tzinfo else given.replace(tzinfo=zone)
        back = at.astimezone(UTC).astimezone(at.tzinfo)
    except (ValueError, OverflowError):
        problem = f"expected a time such as 2025-01-31T23:59:59, got {text[:40]!r}"
        raise ValueError(problem) from None
    if back.replace(tzinfo=None) != given.replace(tzinfo=None):
        raise ValueError(f"{text} is never the time in {zone.key}: the clocks are set forward")
    return math.floor(at.timestamp())
