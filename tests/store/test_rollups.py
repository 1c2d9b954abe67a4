"""Rollups on both databases: always what the measures say, however those came and went."""

import math
from collections import ChainMap
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, event, select

from cw_mqtt.commands.rollups import check_rollups
from cw_mqtt.journal.rows import Entry
from cw_mqtt.measure.energy import carry
from cw_mqtt.model import Energy
from cw_mqtt.records import Key, Range
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.measures import ADD_MEASURE, NIGHT, OF_TIME, OLDEST_FIRST, measure_row
from cw_mqtt.store.rollups import ALL, SPANS_S, Mark, build, find_mark, forget, refresh
from cw_mqtt.store.sensors import add_entries
from cw_mqtt.store.sums import stored_energy
from cw_mqtt.store.tables import sensors
from cw_mqtt.store.web_queries import WebQueries
from tests.home import MAX_GAP_S, START_TS, Home, reading
from tests.waiting import wait_until

MIDNIGHT_TS = 1_790_035_200
US = 1_000_000
WAITING = "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock'"

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
    """All cells are what the measures carry one by one."""
    with transaction(home.engine) as connection:
        marks = [find_mark(connection, row[0]) for row in connection.execute(select(sensors.c.id))]
        stored = {
            row[:3]: pytest.approx(row[3:])
            for row in cells(home)
            for mark in marks
            if row[0] == mark.sensor_id and row[2] >= mark.thinned_ts
        }
        computed = [summed(mark, rows_of(connection, mark)) for mark in marks]
    assert dict(ChainMap(*computed)) == stored


def rows_of(connection: Connection, mark: Mark) -> Iterable[Any]:
    """A sensor's measures that are in cells, and the one before them."""
    bounds = {"from_ts": mark.thinned_ts - MAX_GAP_S, "until_ts": mark.built_ts}
    query = OF_TIME.order_by(*OLDEST_FIRST)
    return connection.execute(query, {"sensor_id": mark.sensor_id, **bounds})


def summed(mark: Mark, rows: Iterable[Any]) -> dict[Any, tuple[float, ...]]:
    """The cells of a sensor from its measures, added up otherwise than in the database."""
    found: dict[Any, list[tuple[float, ...]]] = {}
    before = (-MAX_GAP_S - 1, 0.0)
    for ts, power_w, night_rate, _ in rows:
        each, by_night = carry(*before, ts, power_w, MAX_GAP_S), night_rate == NIGHT
        before = ts, power_w
        by_tariff = [
            (value * (not by_night), value * by_night) for value in (each.energy_j, power_w)
        ]
        for span_s in SPANS_S if ts >= mark.thinned_ts else ():
            row = (1, each.seconds, *by_tariff[0], *by_tariff[1], power_w)
            found.setdefault((mark.sensor_id, span_s, ts - ts % span_s), []).append(row)
    return {
        start: (*map(math.fsum, columns), min(powers), max(powers))
        for start, rows in found.items()
        for *columns, powers in [zip(*rows, strict=True)]
    }


def cells(home: Home) -> list[tuple[Any, ...]]:
    return home.ask("SELECT * FROM rollups ORDER BY sensor_id, span_s, start_ts")


def quarters(home: Home) -> list[Any]:
    """What each quarter hour carries, where that is anything, whether or not it is in a cell."""
    sums = [
        WebQueries(home.engine, home.settings).sums(
            Range(1, Key.TIME, (start_ts - 3600) * US, (start_ts + 5400) * US), 900 * US
        )
        for start_ts in (MIDNIGHT_TS, MIDNIGHT_TS + 86_400, MIDNIGHT_TS + 40 * 86_400)
    ]
    return [astuple(group) if group else () for groups in sums for group in groups]


def edit(home: Home, kind: str, ts: int, *values: Any) -> None:
    archive = WebQueries(home.engine, home.settings)
    if kind == "insert":
        archive.insert(1, ts, float(values[0]), night=values[1])
    elif kind == "delete":
        home.delete(Range(1, Key.TIME, ts * US, (ts + values[0]) * US))
    else:
        home.hear(reading(ts - reading(0).ts, power_w=float(values[0])))
        home.store()


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
    archive = WebQueries(home.engine, home.settings)
    whole = Range(1, Key.TIME, 0, (MIDNIGHT_TS + 10**8) * US)
    before = archive.sums(whole, whole.last)

    list(build(home.engine, MAX_GAP_S))

    assert archive.sums(whole, whole.last) == before


def test_a_row_without_a_value_is_passed_over(home: Home) -> None:
    home.store()
    at = [MIDNIGHT_TS, MIDNIGHT_TS + 100 * 86_400, MIDNIGHT_TS + 200 * 86_400]
    values = f"(1, 5, {at[0]}), (1, NULL, {at[1]}), (1, 7, {at[2]}), (1, 9, {at[2] + 900})"
    home.tell(f"INSERT INTO measures (sensor_id, value, timestamp) VALUES {values}")

    list(build(home.engine, MAX_GAP_S))

    assert [row[2] for row in cells(home) if row[1] == 900] == [at[0], at[2]]
    assert_right(home)


def test_a_batch_takes_no_more_statements_for_more_sensors(home: Home) -> None:
    home.name_sensors({f"s{number}": f"Sensor {number}" for number in range(20)})
    home.store()
    ids = dict(home.ask("SELECT slug, sensor_id FROM sensor_slugs"))
    said: list[str] = []
    event.listen(home.engine, "before_cursor_execute", lambda *about: said.append(about[2]))

    def statements(slugs: list[str]) -> int:
        said.clear()
        heard = [Entry(1, reading(ts, slug)) for slug in slugs for ts in (0, 900)]
        with transaction(home.engine) as connection:
            add_entries(connection, heard, ids, MAX_GAP_S)
        return len(said)

    assert statements(sorted(ids)[:2]) == statements(sorted(ids)[2:])
    assert_right(home)


def test_a_measure_that_is_not_committed_yet_is_in_its_cell(postgres_home: Home) -> None:
    home = postgres_home
    home.hear(reading(0))
    home.store()
    home.hear(reading(900))

    with transaction(home.engine) as connection, ThreadPoolExecutor(1) as others:
        connection.execute(ADD_MEASURE, measure_row(1, START_TS + 8, 7.0, night=False))
        refresh(connection, {1: [(START_TS + 8, START_TS + 8)]}, MAX_GAP_S)
        storing = others.submit(home.store)
        wait_until(
            lambda: home.ask("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        )
        connection.commit()
        storing.result()

    assert [row[3] for row in cells(home) if row[1] == 900] == [2]
    assert_right(home)


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
        assert stored_energy(connection, 1, 60).tariffs_j["day"] == 0
        assert find_mark(connection, 1) == Mark(
            1, max_gap_s=60, built_ts=START_TS + 100, open_ts=START_TS + 100
        )


def test_the_total_of_a_sensor_is_what_its_cells_carry(home: Home) -> None:
    home.hear(reading(0), reading(10, night=True), reading(90_000), reading(90_002))

    home.store()

    with transaction(home.engine) as connection:
        assert stored_energy(connection, 1, MAX_GAP_S) == Energy(
            total_j=6006.0,
            tariffs_j={"day": 1001.0, "night": 5005.0},
            last_ts=reading(90_002).ts,
            last_power_w=500.5,
        )
