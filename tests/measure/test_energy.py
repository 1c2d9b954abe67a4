import pytest

from cw_mqtt.config.contract import TariffSettings
from cw_mqtt.measure.energy import (
    IntervalEnergy,
    add_measure,
    carry,
    never_less,
    start_from,
)
from cw_mqtt.model import JOULES_PER_KWH, Energy

DAY = TariffSettings(name="day", eur_per_kwh=0.2)
NIGHT = TariffSettings(name="night", eur_per_kwh=0.1)
HOUR = [(ts, 1000.0, 0) for ts in range(0, 3601, 8)]


def add_all(energy, measures):
    for ts, power_w, night in measures:
        energy = add_measure(energy, ts, power_w, NIGHT if night else DAY, max_gap_s=300)
    return energy


@pytest.mark.parametrize(
    ("ts", "carried"),
    [
        (108, IntervalEnergy(1200.0, 8)),
        (400, IntervalEnergy(45000.0, 300)),
        (401, IntervalEnergy(0.0, 0)),  # longer than the longest gap
        (100, IntervalEnergy(0.0, 0)),  # the same second
        (99, IntervalEnergy(0.0, 0)),  # the clock was set back
    ],
)
def test_a_measure_carries_the_interval_that_ends_at_it(ts, carried):
    assert carry(100, 100.0, ts, 200.0, max_gap_s=300) == carried


@pytest.mark.parametrize(("powers_w", "energy_j"), [((-100, 200), 800), ((-100, -200), 0)])
def test_a_negative_power_counts_as_nothing(powers_w, energy_j):
    before_w, power_w = powers_w

    assert carry(100, before_w, 108, power_w, max_gap_s=300) == IntervalEnergy(energy_j, 8)


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

    assert energy.tariffs_j == {"day": 2000, "night": 1000}


def test_each_sum_is_lifted_alone_and_none_lowered():
    ours = Energy(0, 10, {"day": 7, "night": 3}, last_ts=50, last_power_w=9, cost=0.5)
    theirs = Energy(1, 12, {"night": 5, "weekend": 6}, last_ts=40, cost=0.4)

    lifted = Energy(1, 12, {"day": 7, "night": 5, "weekend": 6}, 50, 9, cost=0.5)
    assert never_less(ours, theirs) == lifted


@pytest.mark.parametrize(
    ("start_kwh", "total_kwh"),
    [(100, 101.0), (150, 151.0), (50, 101.0), (0, 101.0)],
)
def test_a_start_is_raised_later_and_never_lowered(start_kwh, total_kwh):
    energy = add_all(start_from(Energy(), 100 * JOULES_PER_KWH), HOUR)

    energy = start_from(energy, start_kwh * JOULES_PER_KWH)

    assert energy.total_kwh == total_kwh


def test_a_measure_heard_out_of_order_counts_no_time_twice():
    in_order = add_all(Energy(), [(0, 100.0, 0), (20, 100.0, 0), (28, 100.0, 0)])

    assert add_all(Energy(), [(0, 100.0, 0), (20, 100.0, 0), (16, 100.0, 0), (28, 100.0, 0)]) == (
        in_order
    )


def test_after_the_clock_was_set_back_measures_count_again():
    energy = add_all(Energy(), [(9000, 100.0, 0), (1000, 100.0, 0), (1010, 100.0, 0)])

    assert energy.total_j == 1000


def test_of_two_measures_in_one_second_the_later_one_begins_the_next_interval():
    energy = add_all(Energy(), [(0, 100.0, 0), (10, 100.0, 0), (10, 300.0, 0), (20, 300.0, 0)])

    assert energy.total_j == 1000 + 3000


def test_each_measure_costs_what_its_energy_cost_then():
    energy = Energy(last_ts=0, last_power_w=1000)

    energy = add_measure(energy, 180, 1000, DAY, max_gap_s=300)
    energy = add_measure(energy, 360, 1000, NIGHT, max_gap_s=300)

    assert energy.cost == pytest.approx(0.05 * 0.2 + 0.05 * 0.1)
