"""Ranges on both databases, against a plain Python reading of the definition."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from cw_mqtt.measure.energy import NOTHING, carry
from cw_mqtt.records import EnergySum, Key, Range
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.ranges import list_measures
from cw_mqtt.store.retention import delete_oldest_day
from cw_mqtt.store.rollups import build, forget
from cw_mqtt.store.sums import energy_sums
from cw_mqtt.store.tables import measures
from tests.home import MAX_GAP_S, Home
from tests.store.test_rollups import assert_right

START_TS = 1_790_035_200 - 1000  # shortly before a day ends in UTC, and with it an hour
US = 1_000_000

Point = tuple[int, float, int]  # seconds after START_TS, W, night_rate

points = st.lists(
    st.tuples(st.integers(0, 400), st.integers(-50, 5000).map(float), st.sampled_from([-1, 0, 1])),
    max_size=25,
)
# some minutes about midnight, an hour or a day before, and days after that
sparse_points = st.lists(
    st.tuples(
        st.integers(0, 1500).flatmap(
            lambda s: st.sampled_from([s, s - 3600, s + 40_000, s + 86_400, s + 5 * 86_400])
        ),
        st.integers(-50, 5000).map(float),
        st.sampled_from([-1, 0, 1]),
    ),
    max_size=40,
)
# where a range begins, how long it is, and its step: as clients cut days, or anyhow
long_ranges = st.one_of(
    st.tuples(
        st.sampled_from([START_TS - 200, START_TS - 3800, START_TS - 80_000]),
        st.sampled_from([7200, 86_400, 7 * 86_400]),
        st.sampled_from([900, 3600, 86_400]),
    ),
    st.tuples(
        st.floats(START_TS - 90_000, START_TS + 3000),
        st.floats(2000, 8 * 86_400),
        st.floats(900, 3 * 86_400),
    ),
).map(lambda numbers: tuple(round(n * US) for n in numbers))
# about where the points are: the key, where a range begins, how long it is, and its step
ranges = st.one_of(
    st.tuples(
        st.just(Key.TIME),
        st.floats(0, 300).map(lambda s: round((START_TS + s) * US)),
        st.floats(0.1, 200).map(lambda s: round(s * US)),
        st.floats(0.5, 90).map(lambda s: round(s * US)),
    ),
    st.tuples(st.just(Key.ID), st.integers(0, 20), st.integers(1, 15), st.integers(1, 6)),
    st.tuples(st.just(Key.POSITION), st.integers(-30, -15), st.integers(1, 15), st.integers(1, 6)),
)


@pytest.fixture
def filled(home: Home) -> Callable[[list[Point]], None]:
    """Fills the table anew: sensor 1 with these measures in this order of ids, from 1."""
    home.name_sensors({"main": "CitizenWatt", "garage": "Garage"})
    home.store()
    home.tell(
        "INSERT INTO measures (id, sensor_id, value, timestamp, night_rate) "
        f"VALUES (1000, 2, 9999, {START_TS + 4}, 0)"
    )

    def fill(rows: list[Point]) -> None:
        home.tell("DELETE FROM measures WHERE sensor_id = 1")
        values = [
            {"id": i, "sensor_id": 1, "timestamp": START_TS + ts, "value": w, "night_rate": night}
            for i, (ts, w, night) in enumerate(rows, 1)
        ]
        if values:
            with transaction(home.engine) as connection:
                connection.execute(insert(measures), values)
        forget(home.engine)
        list(build(home.engine, MAX_GAP_S))

    return fill


def in_order(rows: list[Point]) -> list[tuple[int, int, float, bool]]:
    """(timestamp, id, power, night) as measures follow each other."""
    return sorted((START_TS + ts, i, w, night == 1) for i, (ts, w, night) in enumerate(rows, 1))


def by_definition(rows: list[Point], chosen: Range) -> EnergySum | None:
    """What the measures of a range carry."""
    ordered = in_order(rows)
    carried = [NOTHING, *(carry(a[0], a[2], b[0], b[2], MAX_GAP_S) for a, b in pairwise(ordered))]
    found = [
        (w, night, c)
        for place, ((ts, i, w, night), c) in enumerate(zip(ordered, carried, strict=False))
        if chosen.first
        <= {Key.TIME: ts * US, Key.ID: i, Key.POSITION: place - len(rows)}[chosen.key]
        < chosen.last
    ]
    if not found:
        return None
    return EnergySum(
        len(found),
        sum(c.seconds for _, _, c in found),
        sum(c.energy_j for _, night, c in found if not night),
        sum(c.energy_j for _, night, c in found if night),
        sum(w for w, night, _ in found if not night),
        sum(w for w, night, _ in found if night),
        min(w for w, _, _ in found),
        max(w for w, _, _ in found),
    )


def sums(home: Home, chosen: Range, step: int) -> list[EnergySum | None]:
    with transaction(home.engine) as connection:
        return energy_sums(connection, chosen, step, MAX_GAP_S)


def added(groups: list[EnergySum]) -> EnergySum | None:
    if not groups:
        return None
    kinds = {"min_w": min, "max_w": max}
    names = EnergySum.__slots__
    return EnergySum(*(kinds.get(n, sum)(getattr(g, n) for g in groups) for n in names))


def close(one: EnergySum | None, other: EnergySum | None) -> bool:
    if one is None or other is None:
        return one is other
    names = EnergySum.__slots__
    return [getattr(one, n) for n in names] == pytest.approx([getattr(other, n) for n in names])


@given(rows=points, chosen=ranges)
def test_each_step_of_a_range_carries_what_the_definition_says(
    home: Home, filled: Callable, rows: list[Point], chosen: tuple[Key, int, int, int]
) -> None:
    filled(rows)
    key, first, length, step = chosen
    last = first + length

    groups = sums(home, Range(1, key, first, last), step)

    expected = [
        by_definition(rows, Range(1, key, start, min(start + step, last)))
        for start in range(first, last, step)
    ]
    assert len(groups) == len(expected)
    assert all(map(close, groups, expected))


@given(rows=points, chosen=ranges)
def test_the_sum_of_the_steps_is_the_whole(
    home: Home, filled: Callable, rows: list[Point], chosen: tuple[Key, int, int, int]
) -> None:
    filled(rows)
    key, first, length, step = chosen
    everything = Range(1, key, first, first + length)

    groups = [group for group in sums(home, everything, step) if group]

    (whole,) = sums(home, everything, length)
    assert close(whole, added(groups))


@given(rows=sparse_points, chosen=long_ranges)
def test_long_steps_come_from_the_rollups_and_carry_the_same(
    home: Home, filled: Callable, rows: list[Point], chosen: tuple[int, int, int]
) -> None:
    filled(rows)
    first, length, step = chosen
    last = first + length

    groups = sums(home, Range(1, Key.TIME, first, last), step)

    expected = [
        by_definition(rows, Range(1, Key.TIME, start, min(start + step, last)))
        for start in range(first, last, step)
    ]
    assert len(groups) == len(expected)
    assert all(map(close, groups, expected))
    (whole,) = sums(home, Range(1, Key.TIME, first, last), length)
    assert close(whole, added([group for group in groups if group]))


def keep_two_days(home: Home) -> None:
    for _day in range(3):
        delete_oldest_day(home.engine, timedelta(0), START_TS + 9e6, MAX_GAP_S)


@pytest.mark.parametrize(
    "prepare", [lambda _: None, lambda home: forget(home.engine), keep_two_days]
)
@given(rows=sparse_points, first=st.integers(-45, 0), length=st.integers(0, 30))
def test_positions_are_a_python_slice(
    home: Home, filled: Callable, prepare: Callable, rows: list[Point], first: int, length: int
) -> None:
    filled(rows)
    last = min(0, first + length)
    chosen = Range(1, Key.POSITION, first, last)
    prepare(home)

    with transaction(home.engine) as connection:
        found = list_measures(connection, chosen, 1000)
    by_time = "SELECT timestamp, id FROM measures WHERE sensor_id = 1 ORDER BY timestamp, id"
    expected = home.ask(by_time)[first : last or None] if first else []
    deleted = home.delete(chosen)

    assert [(m.timestamp, m.id) for m in found] == expected
    assert deleted == len(expected)


ROWS = [(0, 100.0, 0), (8, 200.0, 0), (8, 300.0, 1), (16, 400.0, 1), (4, 500.0, 0)]


@pytest.mark.parametrize(
    ("chosen", "ids"),
    [
        (Range(1, Key.ID, 2, 6), [5, 2, 3, 4]),
        (Range(1, Key.ID, 0, 2), [1]),
        (Range(1, Key.ID, 3, 3), []),
        (Range(1, Key.TIME, START_TS * US, (START_TS + 8) * US), [1, 5]),
        (Range(1, Key.TIME, START_TS * US + 1, (START_TS + 8) * US + 1), [5, 2, 3]),
        (Range(1, Key.POSITION, -2, 0), [3, 4]),
        (Range(1, Key.POSITION, -3, -1), [2, 3]),
        (Range(1, Key.POSITION, -9, -3), [1, 5]),
        (Range(2, Key.POSITION, -9, 0), [1000]),
        (Range(1, Key.ID, 0, 10**18), [1, 5, 2, 3, 4]),
        (Range(3, Key.ID, 0, 10**18), []),
        (Range(10**18, Key.TIME, 0, 10**18), []),
        (Range(1, Key.POSITION, -(10**18), -(10**18) + 5), []),
    ],
)
def test_a_range_is_listed_in_order_of_time_and_deleted(
    home: Home, filled: Callable, chosen: Range, ids: list[int]
) -> None:
    filled(ROWS)

    with transaction(home.engine) as connection:
        listed = [m.id for m in list_measures(connection, chosen, 10**18)]
    deleted = home.delete(chosen)

    left = {i for (i,) in home.ask("SELECT id FROM measures")}
    assert listed == ids
    assert deleted == len(ids)
    assert left == {1, 2, 3, 4, 5, 1000} - set(ids)
    assert_right(home)


def test_rows_without_a_time_or_a_value_are_as_if_they_were_not_there(
    home: Home, filled: Callable
) -> None:
    filled(ROWS)
    home.tell("INSERT INTO measures (id, sensor_id, timestamp) VALUES (50, 1, 1790000004)")
    home.tell("INSERT INTO measures (id, sensor_id, value) VALUES (51, 1, 5)")

    (whole,) = sums(home, Range(1, Key.ID, 0, 100), 100)

    assert close(whole, by_definition(ROWS, Range(1, Key.ID, 0, 100)))
