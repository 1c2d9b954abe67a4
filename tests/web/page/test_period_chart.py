"""Bars, labels and tables of periods, from totals alone."""

from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from cw_mqtt.measure.named_periods import NamedPeriod
from cw_mqtt.model import JOULES_PER_KWH
from cw_mqtt.records import EnergySum, PeriodTotal
from cw_mqtt.web.page.language import LANGUAGES
from cw_mqtt.web.page.period_chart import Chart, Painter

PARIS = ZoneInfo("Europe/Paris")
EN = LANGUAGES["en"]


def totals(edges: list[int], kwh: float, share: float = 1.0) -> list[PeriodTotal]:
    """The same use in each period, a quarter of it by night."""
    found = []
    for start, end in pairwise(edges):
        seconds = int(share * (end - start))
        j = kwh * JOULES_PER_KWH
        energy = EnergySum(9, seconds, 0.75 * j, 0.25 * j, 0, 0, 100, 900) if seconds else None
        by_tariff = {"day": 0.75 * j, "night": 0.25 * j} if energy else {}
        found.append(PeriodTotal(start, end, energy, by_tariff, 0.2 * kwh, 0.1))
    return found


def drawn(kind: str, name: str, kwh: float, unit: str = "kwh", share: float = 1.0) -> Chart:
    edges = NamedPeriod.parse(kind, name).edges(PARIS)
    painter = Painter(EN, PARIS, ("day", "night"), "EUR")
    return painter.chart(kind, edges, totals(edges, kwh, share), [], unit, lambda ts: f"/{ts}")


@pytest.mark.parametrize(
    ("kind", "name", "bars", "first", "last"),
    [
        ("day", "2026-11-25", 24, "00:00–01:00", "23:00–00:00"),  # noqa: RUF001
        ("day", "2026-10-25", 25, "00:00–01:00", "23:00–00:00"),  # noqa: RUF001
        ("week", "2026-W48", 7, "Monday 23 November", "Sunday 29 November"),
        ("month", "2028-02", 29, "Tuesday 1 February", "Tuesday 29 February"),
        ("year", "2026", 12, "January", "December"),
    ],
)
def test_each_part_of_a_period_has_a_bar_with_its_name(
    kind: str, name: str, bars: int, first: str, last: str
) -> None:
    chart = drawn(kind, name, 1)

    assert len(chart.bars) == len(chart.rows) == bars
    assert (chart.bars[0].words, chart.bars[-1].words) == (first, last)


def test_the_night_stands_below_the_day() -> None:
    (night, day) = drawn("day", "2026-11-25", 4).bars[0].parts

    assert (night[0], day[0]) == ("r1", "r0")
    assert night[1] + night[2] == pytest.approx(100)
    assert day[1] + day[2] == pytest.approx(night[1], abs=0.02)
    assert day[2] == pytest.approx(3 * night[2], abs=0.05)


def test_what_is_produced_hangs_below_nothing() -> None:
    chart = drawn("day", "2026-11-25", -4)

    assert chart.ticks[0] == "0 kWh"
    assert min(y for _, y, _ in chart.bars[0].parts) == pytest.approx(chart.lines[0], abs=0.02)


@pytest.mark.parametrize(
    ("share", "words", "is_gap"),
    [
        (1.0, "1.00 kWh, €0.30", False),
        (0.5, "at least 1.00 kWh, €0.30, 50% measured", True),
        (0.0, "not measured", True),
    ],
)
def test_a_gap_is_said_and_hatched(share: float, words: str, is_gap: bool) -> None:
    (bar, *_) = drawn("day", "2026-11-25", 1, share=share).bars

    assert bar.value == words
    assert bar.is_gap is is_gap


def test_of_the_future_nothing_is_known() -> None:
    edges = NamedPeriod.parse("day", "2026-11-25").edges(PARIS)
    painter = Painter(EN, PARIS, (), None)

    chart = painter.chart("day", edges, totals(edges[:3], 1), [], "kwh", lambda ts: None)

    assert [bool(bar.value) for bar in chart.bars[:4]] == [True, True, False, False]
    assert len(chart.rows) == 2


def test_without_a_contract_there_are_neither_euros_nor_tariffs() -> None:
    edges = NamedPeriod.parse("day", "2026-11-25").edges(PARIS)
    painter = Painter(EN, PARIS, (), None)

    chart = painter.chart("day", edges, totals(edges, 1), [], "kwh", lambda ts: None)

    assert chart.legend == []
    assert chart.columns == ["Period", "kWh", "Mean power", "Lowest", "Highest", "Measured"]
    assert "€" not in chart.bars[0].value


def test_the_legend_adds_up() -> None:
    assert drawn("day", "2026-11-25", 1).legend == [
        ("r0", "Day rate", "18.0"),
        ("r1", "Night rate", "6.00"),
    ]
    assert drawn("day", "2026-11-25", 1, "eur").legend == [
        ("r0", "Energy", "€4.80"),
        ("standing", "Standing charge", "€2.40"),
    ]
