"""Rollups on both databases: always what the measures say, however those came and went."""

from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cw_mqtt.model import Energy, Key, Range
from cw_mqtt.store.archive import Archive
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.ranges import stored_energy
from cw_mqtt.store.rollups import ALL, Mark, build, find_mark, forget
from cw_mqtt.tools.audit import check_rollups
from tests.home import MAX_GAP_S, START_TS, Home, reading

MIDNIGHT_TS = 1_790_035_200
US = 1_000_000

times = st.sampled_from([0, 900, 3600, 86_400, 40 * 86_400]).flatmap(
    lambda start: st.integers(MIDNIGHT_TS + start - 400, MIDNIGHT_TS + start + 400)
)
edits = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), times, st.integers(-100, 9000), st.booleans()),
        st.tuples(st.just("delete"), times, st.integers(1, 3000)),
        st.tuples(st.just("hear"), times, st.integers(0, 9000)),
    ),
    max_size=12,
)


def assert_right(home: Home) -> None:
    """All cells are what a computation from scratch gives."""
    wrong: list[Any] = []
    list(check_rollups(home.engine, MAX_GAP_S, wrong))
    assert wrong == []


def cells(home: Home) -> list[tuple[Any, ...]]:
    return home.ask("SELECT * FROM rollups ORDER BY sensor_id, span_s, start_ts")


def quarters(home: Home) -> list[Any]:
    """What each quarter hour carries, where that is anything, whether or not it is in a cell."""
    sums = [
        Archive(home.engine, home.settings).sums(
            Range(1, Key.TIME, (start_ts - 3600) * US, (start_ts + 5400) * US), 900 * US
        )
        for start_ts in (MIDNIGHT_TS, MIDNIGHT_TS + 86_400, MIDNIGHT_TS + 40 * 86_400)
    ]
    return [astuple(group) if group else () for groups in sums for group in groups]


def edit(home: Home, kind: str, ts: int, *values: Any) -> None:
    archive = Archive(home.engine, home.settings)
    if kind == "insert":
        archive.insert(1, ts, float(values[0]), night=values[1])
    elif kind == "delete":
        archive.delete(Range(1, Key.TIME, ts * US, (ts + values[0]) * US))
    else:
        home.hear(reading(ts - reading(0).ts, power_w=float(values[0])))
        home.store()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(edits=edits)
def test_whatever_comes_and_goes_the_cells_are_those_of_a_build_from_scratch(
    home: Home, edits: list[Any]
) -> None:
    home.store()
    home.tell("DELETE FROM measures")
    forget(home.engine)
    list(build(home.engine, MAX_GAP_S))
    for kind, *values in edits:
        edit(home, kind, *values)
    assert_right(home)
    kept = quarters(home)

    forget(home.engine)
    measured = quarters(home)
    list(build(home.engine, MAX_GAP_S))

    for others in (measured, quarters(home)):
        assert list(map(pytest.approx, others)) == kept
    assert_right(home)


def test_a_wrong_a_missing_and_a_surplus_cell_are_found(home: Home) -> None:
    home.hear(*(reading(ts) for ts in range(0, 7200, 600)))
    home.store()
    first, second = (row[2] for row in cells(home)[:2])
    home.tell(f"UPDATE rollups SET max_w = 501 WHERE start_ts = {first} AND span_s = 900")
    home.tell(f"DELETE FROM rollups WHERE start_ts = {second} AND span_s = 900")
    home.tell("INSERT INTO rollups VALUES (1, 86400, 86400, 1, 0, 0, 0, 1, 0, 1, 1)")
    wrong: list[Any] = []

    list(check_rollups(home.engine, MAX_GAP_S, wrong))

    assert {(1, 900, first), (1, 900, second), (1, 86400, 86400)} <= set(wrong)


def test_a_build_that_was_broken_off_goes_on_where_it_was(home: Home) -> None:
    home.store()
    with_history(home)
    shares = build(home.engine, MAX_GAP_S)
    first = next(shares)
    with transaction(home.engine) as connection:
        begun = find_mark(connection, 1)

    rest = list(build(home.engine, MAX_GAP_S))

    assert 0 < begun.built_ts < ALL
    assert first < rest[0] < rest[-1] == 1
    assert_right(home)


def test_what_is_not_built_yet_is_added_up_from_the_measures(home: Home) -> None:
    home.store()
    with_history(home)
    archive = Archive(home.engine, home.settings)
    whole = Range(1, Key.TIME, 0, (MIDNIGHT_TS + 10**8) * US)
    before = archive.sums(whole, whole.last)

    list(build(home.engine, MAX_GAP_S))

    assert archive.sums(whole, whole.last) == before


def with_history(home: Home) -> None:
    """Measures of three months that no cell knows of."""
    rows = ", ".join(f"(1, {100 + n}, {MIDNIGHT_TS + n * 40_000}, 0)" for n in range(200))
    home.tell(f"INSERT INTO measures (sensor_id, value, timestamp, night_rate) VALUES {rows}")
    forget(home.engine)


def test_another_longest_gap_has_all_cells_computed_anew(home: Home) -> None:
    home.hear(reading(0), reading(100))
    home.store()

    list(build(home.engine, 60))

    with transaction(home.engine) as connection:
        assert stored_energy(connection, 1, 60).day_j == 0
        assert find_mark(connection, 1) == Mark(
            1, max_gap_s=60, built_ts=START_TS + 100, open_ts=START_TS + 100
        )


def test_the_total_of_a_sensor_is_what_its_cells_carry(home: Home) -> None:
    home.hear(reading(0), reading(10, night=True), reading(90_000), reading(90_002))

    home.store()

    with transaction(home.engine) as connection:
        assert stored_energy(connection, 1, MAX_GAP_S) == Energy(
            total_j=6006.0,
            day_j=1001.0,
            night_j=5005.0,
            last_ts=reading(90_002).ts,
            last_power_w=500.5,
        )
