import pytest

from cw_mqtt.measure.energy import (
    Carried,
    add_measure,
    carry,
    join_totals,
    raise_total,
)
from cw_mqtt.model import JOULES_PER_KWH, Energy

HOUR = [(ts, 1000.0, 0) for ts in range(0, 3601, 8)]


def add_all(energy, measures):
    for ts, power_w, night in measures:
        energy = add_measure(energy, ts, power_w, night=night > 0, max_gap_s=300)
    return energy


@pytest.mark.parametrize(
    ("ts", "carried"),
    [
        (108, Carried(1200.0, 8)),
        (400, Carried(45000.0, 300)),
        (401, Carried(0.0, 0)),  # longer than the longest gap
        (100, Carried(0.0, 0)),  # the same second
        (99, Carried(0.0, 0)),  # the clock was set back
    ],
)
def test_a_measure_carries_the_interval_that_ends_at_it(ts, carried):
    assert carry(100, 100.0, ts, 200.0, max_gap_s=300) == carried


@pytest.mark.parametrize(("powers_w", "energy_j"), [((-100, 200), 800), ((-100, -200), 0)])
def test_a_negative_power_counts_as_nothing(powers_w, energy_j):
    before_w, power_w = powers_w

    assert carry(100, before_w, 108, power_w, max_gap_s=300) == Carried(energy_j, 8)


def test_an_hour_at_a_kilowatt_is_a_kilowatt_hour():
    assert add_all(Energy(), HOUR).total_kwh == 1.0


def test_the_first_measure_carries_nothing():
    assert add_all(Energy(), [(1000, 500.0, 0)]).total_kwh == 0


def test_a_long_silence_adds_nothing():
    before = add_all(Energy(), HOUR)

    after = add_all(before, [(90_000, 3000.0, 0)])

    assert after.total_kwh == before.total_kwh


def test_energy_goes_to_the_tariff_of_the_measure_that_carries_it():
    energy = add_all(Energy(), [(0, 100.0, 0), (10, 100.0, 1), (30, 100.0, 0)])

    assert (energy.day_j, energy.night_j) == (2000, 1000)


def test_what_was_measured_before_the_stored_total_came_is_added_to_it():
    stored = add_all(Energy(start_j=10 * JOULES_PER_KWH), HOUR)
    since = add_all(Energy(), [(7200, 1000.0, 0), (7236, 1000.0, 0)])

    joined = join_totals(stored, since)

    assert joined.total_kwh == pytest.approx(11.01)
    assert (joined.loaded, joined.last_ts) == (True, 7236)


def test_the_next_measure_joins_the_stored_one():
    joined = join_totals(add_all(Energy(), HOUR), Energy())

    assert add_all(joined, [(3636, 1000.0, 0)]).total_kwh == pytest.approx(1.01)


@pytest.mark.parametrize(("kwh", "total_kwh"), [(0.5, 1.0), (1.0, 1.0), (7.25, 7.25)])
def test_a_total_is_raised_and_never_lowered(kwh, total_kwh):
    assert raise_total(add_all(Energy(), HOUR), kwh).total_kwh == total_kwh


def test_a_measure_heard_out_of_order_counts_no_time_twice():
    in_order = add_all(Energy(), [(0, 100.0, 0), (20, 100.0, 0), (28, 100.0, 0)])

    assert add_all(Energy(), [(0, 100.0, 0), (20, 100.0, 0), (16, 100.0, 0), (28, 100.0, 0)]) == (
        in_order
    )


def test_after_the_clock_was_set_back_measures_count_again():
    energy = add_all(Energy(), [(9000, 100.0, 0), (1000, 100.0, 0), (1010, 100.0, 0)])

    assert energy.day_j == 1000


def test_of_two_measures_in_one_second_the_later_one_begins_the_next_interval():
    energy = add_all(Energy(), [(0, 100.0, 0), (10, 100.0, 0), (10, 300.0, 0), (20, 300.0, 0)])

    assert energy.day_j == 1000 + 3000


def test_each_measure_costs_what_its_energy_cost_then():
    energy = Energy(last_ts=0, last_power_w=1000)

    energy = add_measure(energy, 180, 1000, night=False, max_gap_s=300, price_per_kwh=0.2)
    energy = add_measure(energy, 360, 1000, night=True, max_gap_s=300, price_per_kwh=0.1)

    assert energy.cost == pytest.approx(0.05 * 0.2 + 0.05 * 0.1)


def test_a_joined_total_keeps_both_costs():
    joined = join_totals(Energy(cost=2.0), Energy(cost=0.5))

    assert joined.cost == 2.5
