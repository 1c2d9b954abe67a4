"""Periods of the local calendar, over the clock changes of a dozen zones."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cw_mqtt.measure.periods import (
    LAST_TS,
    STEPS,
    day_start,
    instant_of,
    local_day,
    months_between,
    period_edges,
    period_start,
)

PARIS = ZoneInfo("Europe/Paris")
ZONES = [
    ZoneInfo(name)
    for name in (
        "Africa/Cairo",  # changes at midnight
        "America/Havana",  # midnight comes twice
        "America/New_York",
        "America/Sao_Paulo",
        "America/St_Johns",  # half an hour off
        "Asia/Beirut",
        "Asia/Kathmandu",  # a quarter of an hour off
        "Australia/Lord_Howe",  # changes by half an hour
        "Europe/Dublin",
        "Europe/Paris",
        "Pacific/Apia",  # has skipped a day
        "Pacific/Chatham",
        "UTC",
    )
]
zones = st.sampled_from(ZONES)
instants = st.integers(0, 2_000_000_000)


def local_ts(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=PARIS).timestamp())


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_every_day_of_a_decade_begins_with_its_first_second(zone: ZoneInfo) -> None:
    days = [date(2008, 1, 1) + timedelta(days=n) for n in range(4000)]

    starts = [(day, day_start(day, zone)) for day in days if str(day) != "2011-12-30"]

    assert all(local_day(ts, zone) == day for day, ts in starts)
    assert all(local_day(ts - 1, zone) < day for day, ts in starts)


@given(
    zone=zones,
    first=instants,
    seconds=st.integers(1, 90 * 86400),
    name=st.sampled_from(list(STEPS)),
)
def test_a_range_is_cut_into_parts_that_are_no_longer_than_a_period(
    zone: ZoneInfo, first: int, seconds: int, name: str
) -> None:
    step = STEPS[name]

    edges = list(period_edges(first, first + seconds, step, zone))

    assert (edges[0], edges[-1]) == (first, first + seconds)
    longest_s = min(step.seconds, step.days * 86400 + 3600)
    assert all(0 < after - before <= longest_s for before, after in pairwise(edges))


@given(zone=zones, first=instants, name=st.sampled_from(["1d", "1w", "1month", "1y"]))
def test_whole_days_go_from_first_day_to_first_day(zone: ZoneInfo, first: int, name: str) -> None:
    step = STEPS[name]

    _, *cuts, _ = period_edges(first, first + 2 * 366 * 86400, step, zone)

    days = [local_day(cut, zone) for cut in cuts]
    assert cuts
    assert all(day == step.first_day(day) for day in days if str(day) != "2011-12-31")
    assert all(period_start(cut, step, zone) == cut for cut in cuts)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-25", 24)]
)
def test_a_day_has_as_many_hours_as_the_clocks_give_it(day: str, hours: int) -> None:
    first, until = local_ts(day), day_start(date.fromisoformat(day) + timedelta(days=1), PARIS)

    edges = list(period_edges(first, until, STEPS["1h"], PARIS))

    assert len(edges) - 1 == hours
    assert all(after - before == 3600 for before, after in pairwise(edges))


@pytest.mark.parametrize("name", STEPS)
def test_periods_end_before_the_calendar_does(name: str) -> None:
    *_, last = period_edges(LAST_TS - 86400, LAST_TS, STEPS[name], ZoneInfo("Pacific/Kiritimati"))

    assert last == LAST_TS


@given(zone=zones, first=instants, cuts=st.lists(st.integers(0, 70 * 86400), min_size=2))
def test_parts_of_months_add_up(zone: ZoneInfo, first: int, cuts: list[int]) -> None:
    edges = [first + cut for cut in sorted(cuts)]

    parts = sum(months_between(*part, zone) for part in pairwise(edges))

    assert parts == pytest.approx(months_between(edges[0], edges[-1], zone))


@given(zone=zones, first=instants)
def test_every_month_is_one(zone: ZoneInfo, first: int) -> None:
    start = period_start(first, STEPS["1month"], zone)
    _, end, *_ = period_edges(start, start + 32 * 86400, STEPS["1month"], zone)

    skipped = (zone.key, str(local_day(start, zone))) == ("Pacific/Apia", "2011-12-01")
    whole = 30 / 31 if skipped else 1

    assert months_between(start, end, zone) == pytest.approx(whole)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-25", "2026-11-24T23:00:00Z"),
        ("2026-11-25T10:00", "2026-11-25T09:00:00Z"),
        ("2026-11-25 10:00:00.9", "2026-11-25T09:00:00Z"),
        ("2026-11-25T10:00:00+05:30", "2026-11-25T04:30:00Z"),
        ("2026-11-25T10:00:00Z", "2026-11-25T10:00:00Z"),
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),  # the first of the two
        ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00Z"),
    ],
)
def test_a_time_without_an_offset_is_local(text: str, at: str) -> None:
    assert datetime.fromtimestamp(instant_of(text, PARIS), UTC).isoformat() == at.replace(
        "Z", "+00:00"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("2026-03-29T02:30:00", "never the time in Europe/Paris"),
        ("yesterday", "expected a time such as"),
        ("2025", "expected a time such as"),
        ("0001-01-01T00:00:00", "expected a time such as"),
        ("", "expected a time such as"),
    ],
)
def test_what_is_no_time_is_said(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        instant_of(text, PARIS)
