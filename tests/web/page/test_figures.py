"""Comparisons and facts, from values alone."""

from zoneinfo import ZoneInfo

import pytest

from cw_mqtt.model import JOULES_PER_KWH
from cw_mqtt.records import Cell, EnergySum, PeriodTotal
from cw_mqtt.web.page.figures import (
    always_on_w,
    compare,
    energy_of_year,
    forecast,
    lowest_of_days,
    week_means,
)

UTC = ZoneInfo("UTC")
DAY_S, QUARTER_S = 86400, 900
MONDAY_TS = 1_790_553_600  # 2026-09-28


def total(kwh: float, share: float = 1.0, days: float = 1, cost: float = 0.0) -> PeriodTotal:
    seconds = int(share * days * DAY_S)
    energy = EnergySum(10, seconds, kwh * JOULES_PER_KWH, 0.0, 0.0, 0.0, 0.0, 0.0)
    return PeriodTotal(0, int(days * DAY_S), energy, {}, cost, 0.0)


@pytest.mark.parametrize(
    ("now", "before", "change", "is_sure"),
    [
        (total(12), total(10), 0.2, True),
        (total(9), total(10, 0.9), -0.19, False),  # by measured hours, not by sums
        (total(10, 0.985), total(10), 0.0152, False),
        (total(10), total(10, 0.79), None, False),
        (total(10, 0.5), total(10), None, False),
        (total(10), total(0), None, True),
    ],
)
def test_only_like_is_compared_with_like(
    now: PeriodTotal, before: PeriodTotal, change: float | None, is_sure: bool
) -> None:
    found = compare(now, before)

    assert found
    assert found.change == (change if change is None else pytest.approx(change, abs=1e-3))
    assert found.is_sure is is_sure


def test_with_nothing_nothing_is_compared() -> None:
    assert compare(total(1), PeriodTotal(0, 1, None, {}, 0.0, 0.0)) is None


def quarters(day: int, lowest_w: float, count: int = 96) -> list[Cell]:
    start_ts = MONDAY_TS + day * DAY_S
    return [
        Cell(start_ts + n * QUARTER_S, QUARTER_S, (lowest_w + n) * QUARTER_S, 0)
        for n in range(count)
    ]


def test_the_lowest_quarter_hour_of_whole_days_counts() -> None:
    cells = [*quarters(0, 100), *quarters(1, 50, count=80), *quarters(2, 120)]

    assert list(lowest_of_days(cells, UTC).values()) == [100, 120]


@pytest.mark.parametrize(
    ("lowest", "expected"),
    [([100.0] * 6, None), ([9.0, 1, 2, 3, 4, 5, 6, 900], 4), ([100.0] * 7, 100)],
)
def test_always_on_is_the_median_of_seven_days(lowest: list[float], expected: float | None) -> None:
    assert always_on_w(lowest) == expected


def test_each_hour_of_the_week_has_its_own_mean() -> None:
    week_s = 7 * DAY_S
    cells = [
        Cell(MONDAY_TS, 3600, 3600 * 100, 0),
        Cell(MONDAY_TS + week_s, 3600, 3600 * 300, 0),
        Cell(MONDAY_TS + 25 * 3600, 3600, 3600 * 50, 0),
    ]

    means = week_means(cells, UTC)

    assert means[0] == 200
    assert means[25] == 50
    assert means[1] is None


def test_a_month_ends_at_the_pace_of_the_last_week() -> None:
    found = forecast(total(100, days=10, cost=20), [total(7, cost=1.4)] * 7, 20 * DAY_S, 10.0)

    assert found
    assert found.kwh == pytest.approx(100 + 20 * 7)
    assert found.cost == pytest.approx(20 + 20 * 1.4 + 10)


@pytest.mark.parametrize(
    ("so_far", "days"),
    [
        (total(10, days=1.9), [total(7)] * 7),
        (total(10, days=9), [total(7)] * 6),
        (total(10, days=9), [total(7, 0.7)] * 7),
    ],
)
def test_nothing_is_foretold_from_too_little(so_far: PeriodTotal, days: list[PeriodTotal]) -> None:
    assert forecast(so_far, days, DAY_S, 0.0) is None


def test_a_power_that_never_rests() -> None:
    assert energy_of_year(100) == 876
