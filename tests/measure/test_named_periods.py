"""Periods with an address, their neighbours and their parts."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from cw_mqtt.measure.named_periods import NamedPeriod

PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("kind", "name", "previous", "following", "year_before"),
    [
        ("day", "2026-11-25", "2026-11-24", "2026-11-26", "2025-11-26"),
        ("day", "2024-03-01", "2024-02-29", "2024-03-02", "2023-03-03"),
        ("week", "2026-W48", "2026-W47", "2026-W49", "2025-W48"),
        ("week", "2026-W01", "2025-W52", "2026-W02", "2025-W01"),
        ("week", "2020-W53", "2020-W52", "2021-W01", "2020-W01"),
        ("month", "2026-01", "2025-12", "2026-02", "2025-01"),
        ("year", "2024", "2023", "2025", "2023"),
    ],
)
def test_a_period_knows_those_beside_it(kind, name, previous, following, year_before):
    period = NamedPeriod.parse(kind, name)

    assert period.name == name
    assert period.previous.name == previous
    assert period.next.name == following
    assert period.year_before.name == year_before


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("day", "2026-11-31"),
        ("day", "2026-W48-3"),
        ("day", "20261125"),
        ("week", "2026-W54"),
        ("week", "2026-48"),
        ("month", "2026-13"),
        ("month", "2026-1"),
        ("year", "0001"),
        ("year", "9999"),
        ("year", "26"),
        ("year", "\u0662\u0660\u0662\u0666"),
        ("day", ""),
        ("day", "x" * 1000),
    ],
)
def test_what_is_no_period_is_refused(kind, name):
    with pytest.raises(ValueError, match=r"."):
        NamedPeriod.parse(kind, name)


@pytest.mark.parametrize(
    ("kind", "name", "bars"),
    [
        ("day", "2026-11-25", 24),
        ("day", "2026-03-29", 23),
        ("day", "2026-10-25", 25),
        ("week", "2026-W43", 7),
        ("month", "2026-02", 28),
        ("year", "2026", 12),
    ],
)
def test_its_bars_cover_it_also_when_the_clocks_change(kind, name, bars):
    period = NamedPeriod.parse(kind, name)

    edges = period.edges(PARIS)

    assert (edges[0], edges[-1]) == period.bounds(PARIS)
    assert len(edges) - 1 == bars


def test_a_bar_is_a_period_one_level_down():
    year = NamedPeriod.parse("year", "2026")
    march = year.part(year.edges(PARIS)[2], PARIS)
    day = march.part(march.edges(PARIS)[28], PARIS)

    assert (march.kind, march.name) == ("month", "2026-03")
    assert day == NamedPeriod("day", date(2026, 3, 29))
    assert day.part(day.edges(PARIS)[0], PARIS) is None
