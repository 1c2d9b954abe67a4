"""What the pages make of totals: fair comparisons, and facts about a house. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from statistics import fmean, median
from zoneinfo import ZoneInfo

from cw_mqtt.config.values import DAY_S
from cw_mqtt.measure.periods import local_day
from cw_mqtt.model import JOULES_PER_KWH
from cw_mqtt.records import Cell, PeriodTotal

WHOLE = 0.98  # measured so far, a time has no gap worth showing
SURE, COMPARABLE = 0.99, 0.8

DAYS_OF_FACTS = 7
FORECAST_FROM_DAY = 3


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much more a time has used than another, by measured hours; 0.12 is 12 % more.

    `change` is None when too little of either was measured.
    """

    change: float | None
    is_sure: bool
    measured_before: float


def compare(now: PeriodTotal, before: PeriodTotal) -> Comparison | None:
    """Compare like with like; None when nothing was measured before."""
    if not before.energy:
        return None
    least = min(now.measured, before.measured)
    known = least >= COMPARABLE and before.kwh > 0 and now.seconds and before.seconds
    change = (now.kwh / now.seconds) / (before.kwh / before.seconds) - 1 if known else None
    return Comparison(change, least >= SURE, before.measured)


def lowest_of_days(quarters: Iterable[Cell], zone: ZoneInfo) -> dict[date, float]:
    """The lowest quarter hour's mean W of each day that was measured whole."""
    by_day = defaultdict[date, list[Cell]](list)
    for quarter in quarters:
        by_day[local_day(quarter.start_ts, zone)].append(quarter)
    return {
        day: min(cell.mean_w for cell in cells)
        for day, cells in by_day.items()
        if sum(cell.seconds for cell in cells) >= WHOLE * DAY_S
    }


def always_on_w(lowest: Sequence[float]) -> float | None:
    """What runs even when everybody sleeps; None before there are seven days."""
    return median(lowest[-DAYS_OF_FACTS:]) if len(lowest) >= DAYS_OF_FACTS else None


def week_means(hours: Iterable[Cell], zone: ZoneInfo) -> list[float | None]:
    """Mean W of each hour of the week, from Monday 0 h on; None where nothing was measured."""
    cells = defaultdict[int, list[Cell]](list)
    for hour in hours:
        at = datetime.fromtimestamp(hour.start_ts, zone)
        cells[24 * at.weekday() + at.hour].append(hour)
    return [fmean([c.mean_w for c in cells[n]]) if cells[n] else None for n in range(7 * 24)]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a month will have cost, or used when there is no contract, at its end."""

    kwh: float
    cost: float


def forecast(
    so_far: PeriodTotal, last_days: Sequence[PeriodTotal], left_s: int, charge_left: float
) -> Forecast | None:
    """So far, and the rest of the month at the pace of the last seven whole days.

    None before there is enough to go by: the third day, seven days, four fifths of them measured.
    """
    seconds = sum(day.seconds for day in last_days)
    span_s = sum(day.until_ts - day.from_ts for day in last_days)
    is_early = so_far.until_ts - so_far.from_ts < (FORECAST_FROM_DAY - 1) * DAY_S
    if is_early or len(last_days) < DAYS_OF_FACTS or seconds < COMPARABLE * span_s:
        return None
    share = left_s / seconds
    kwh = so_far.kwh + share * sum(day.kwh for day in last_days)
    cost = so_far.cost + share * sum(day.energy_cost for day in last_days) + charge_left
    return Forecast(kwh, cost)


def energy_of_year(watts: float) -> float:
    """The kWh of a power that never rests."""
    return watts * 365 * DAY_S / JOULES_PER_KWH
