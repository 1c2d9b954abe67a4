"""Long histories on both databases."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cw_mqtt.store.engine import transaction
from cw_mqtt.store.history import (
    GROUPS_AT_ONCE,
    STREAMED_AT_ONCE,
    sensor_ids,
    stream,
    sums_between,
    times,
)
from cw_mqtt.store.retention import delete_oldest_day
from tests.home import MAX_GAP_S, START_TS, Home, reading

HOURS_S = [reading(ts, power_w=100.0 + ts % 11) for ts in range(0, 40_000, 100)]


@pytest.fixture
def measured(home: Home) -> Home:
    home.hear(*HOURS_S)
    home.store()
    return home


@given(cuts=st.sets(st.integers(-1000, 41_000), min_size=2))
def test_sums_between_any_edges_add_up_to_the_whole(measured: Home, cuts: set[int]) -> None:
    edges = [START_TS + cut for cut in sorted(cuts)]

    with transaction(measured.engine) as connection:
        parts = list(sums_between(connection, 1, edges, MAX_GAP_S))
        ((_, whole),) = sums_between(connection, 1, [edges[0], edges[-1]], MAX_GAP_S)

    assert [period for period, _ in parts] == list(pairwise(edges))
    found = [part for _, part in parts if part]
    assert sum(part.measures for part in found) == (whole.measures if whole else 0)
    assert sum(part.day_j for part in found) == pytest.approx(whole.day_j if whole else 0)


def test_more_groups_than_are_asked_for_at_once_are_all_there(measured: Home) -> None:
    edges = range(START_TS, START_TS + 10 * (2 * GROUPS_AT_ONCE + 2), 10)

    with transaction(measured.engine) as connection:
        parts = [part for _, part in sums_between(connection, 1, edges, MAX_GAP_S) if part]

    assert len(parts) == len(HOURS_S)


def test_measures_are_streamed_in_order_of_time_then_id(home: Home) -> None:
    home.hear(reading(8), reading(0, power_w=2.0), reading(0, power_w=1.0), reading(16))
    home.store()

    with transaction(home.engine) as connection:
        found = [m.value_w for m in stream(connection, 1, START_TS, START_TS + 9)]

    assert found == [2.0, 1.0, 500.5]
    assert len(found) < STREAMED_AT_ONCE


def test_thinned_out_measures_are_counted_in_the_times_of_a_sensor(measured: Home) -> None:
    newest = reading(4 * 86400)
    measured.hear(reading(3 * 86400), reading(4 * 86400 - 900), newest)
    measured.store()

    delete_oldest_day(measured.engine, timedelta(0), newest.ts, MAX_GAP_S)

    with transaction(measured.engine) as connection:
        first_ts, last_ts = times(connection, 1) or (0, 0)
    assert measured.stored()[0] > 0
    assert START_TS - 900 < first_ts <= START_TS
    assert last_ts == newest.ts


def test_a_sensor_without_measures_has_no_times(home: Home) -> None:
    home.store()

    with transaction(home.engine) as connection:
        assert times(connection, 1) is None


def test_a_sensor_goes_by_its_slug_its_name_and_its_number(home: Home) -> None:
    home.name_sensors({"main": "CitizenWatt", "garage": "main"})
    home.store()

    with transaction(home.engine) as connection:
        found = sensor_ids(connection)

    assert found == {"1": 1, "2": 2, "CitizenWatt": 1, "main": 1, "garage": 2}
