from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cw_mqtt.measure.tariff import Contract, Quarter
from cw_mqtt.model import JOULES_PER_KWH
from tests.settings import NIGHT_CONTRACT, SIX_PRICES, settings

PARIS = ZoneInfo("Europe/Paris")
CONTRACT = {**NIGHT_CONTRACT, "night_hours": ["22:30-06:30", "12:00-14:00"]}


def contract(*lines):
    return Contract(settings(Path(), providers=lines))


def local_ts(local):
    return int(datetime.fromisoformat(local).replace(tzinfo=PARIS).timestamp())


@pytest.mark.parametrize(
    ("local", "night"),
    [
        ("2026-11-22T22:29:59", False),
        ("2026-11-22T22:30:00", True),
        ("2026-11-23T06:29:59", True),
        ("2026-11-23T06:30:00", False),
        ("2026-11-23T13:00:00", True),
        ("2026-11-23T14:00:00", False),
        ("2026-10-25T02:30:00", True),  # the hour that comes twice
        ("2026-03-29T03:00:00", True),  # right after the hour that is missing
    ],
)
def test_night_is_inside_any_window_of_local_time(local, night):
    assert contract(CONTRACT).is_night(local_ts(local)) is night


def test_without_a_contract_it_is_always_day_and_costs_nothing():
    tariff = contract().tariff_at(local_ts("2026-11-23T00:00:00"))

    assert (tariff.name, tariff.eur_per_kwh, contract().currency) == ("day", 0, None)


@pytest.mark.parametrize(
    ("local", "night"), [("2026-11-30T23:00:00", True), ("2026-12-01T23:00:00", False)]
)
def test_hours_change_on_the_day_from_which_a_new_line_is_valid(local, night):
    later = {**NIGHT_CONTRACT, "from": "2026-12-01", "night_hours": ["01:00-05:00"]}

    assert contract(NIGHT_CONTRACT, later).is_night(local_ts(local)) is night


DATED = [
    {"name": "HP/HC", "day": {"eur_per_kwh": 0.2, "eur_per_month": 31}},
    {
        **NIGHT_CONTRACT,
        "from": "2026-10-15",
        "day": {"eur_per_kwh": 0.4, "eur_per_month": 62},
    },
]


def quarter(start_ts, day_kwh=0.0, night_kwh=0.0):
    return Quarter(start_ts, day_kwh * JOULES_PER_KWH, night_kwh * JOULES_PER_KWH)


def in_kwh(bill):
    return {name: pytest.approx(j / JOULES_PER_KWH) for name, j in bill.energy_j.items() if j}


@pytest.mark.parametrize(
    ("at", "euros"),
    [
        ("2026-09-01T12:00", 10 * 0.2 + 5 * 0.2),  # before the first line: as by it
        ("2026-10-14T23:45", 10 * 0.2 + 5 * 0.2),
        ("2026-10-15T00:00", 10 * 0.4 + 5 * 0.1),
    ],
)
def test_energy_costs_what_it_cost_then(at, euros):
    bill = contract(*DATED).bill([quarter(local_ts(at), 10, 5)])

    assert bill.cost == pytest.approx(euros)


@pytest.mark.parametrize(
    ("first", "until", "euros"),
    [
        ("2026-10-01", "2026-10-02", 1),
        ("2026-10-15", "2026-10-16", 2),
        ("2026-10-25", "2026-10-26", 2),  # of 25 hours
        ("2026-11-01", "2026-12-01", 62),
        ("2026-10-01", "2026-11-01", 14 * 1 + 17 * 2),
    ],
)
def test_the_monthly_charge_is_due_by_days(first, until, euros):
    charge = contract(*DATED).standing_charge(local_ts(first), local_ts(until))

    assert charge == pytest.approx(euros)


def test_a_contract_of_two_tariffs_has_one_monthly_charge():
    both = {"day": {"eur_per_kwh": 0, "eur_per_month": 15}}
    line = {**NIGHT_CONTRACT, **both, "night": {"eur_per_kwh": 0, "eur_per_month": 16}}

    charge = contract(line).standing_charge(local_ts("2026-11-01"), local_ts("2026-12-01"))

    assert charge == pytest.approx(16)


@given(cuts=st.lists(st.integers(0, 40 * 86400), min_size=2))
def test_charges_of_parts_add_up_over_a_change_of_the_clocks(cuts):
    charge = contract(*DATED).standing_charge
    edges = [local_ts("2026-10-05") + cut for cut in sorted(cuts)]

    parts = sum(charge(*part) for part in pairwise(edges))

    assert parts == pytest.approx(charge(edges[0], edges[-1]))


@pytest.mark.parametrize(
    ("local", "names"),
    [
        ("2026-11-25T22:30", {"night": 7, "day": 8}),  # flags say what is night, to the second
        ("2026-11-25T12:00", {"night": 7, "day": 8}),  # inserted by hand, or of other hours
        ("2026-11-25T23:00", {"night": 7, "day": 8}),
    ],
)
def test_a_measure_that_says_night_is_of_the_tariff_night(local, names):
    unaligned = contract({**NIGHT_CONTRACT, "night_hours": ["22:38-06:38"]})

    assert in_kwh(unaligned.bill([quarter(local_ts(local), 8, 7)])) == names


EVENING = {
    "name": "Three",
    "tariffs": [
        {"name": "night", "eur_per_kwh": 0.1, "hours": ["22:38-06:38"]},
        {"name": "peak", "eur_per_kwh": 0.4, "hours": ["18:05-22:34"]},
        {"name": "day", "eur_per_kwh": 0.2},
    ],
}


@pytest.mark.parametrize(
    ("local", "shares"),
    [
        ("2026-11-25T12:00", {"day": 1}),
        ("2026-11-25T18:00", {"day": 1 / 3, "peak": 2 / 3}),
        ("2026-11-25T22:30", {"peak": 0.5, "day": 0.5}),  # four minutes each; seven are night
        ("2026-11-25T23:00", {"day": 1}),  # not of the clock's tariff, since it says day
    ],
)
def test_what_is_not_night_goes_to_the_others_by_their_seconds(local, shares):
    assert in_kwh(contract(EVENING).bill([quarter(local_ts(local), 1)])) == shares


def test_a_contract_without_a_tariff_night_has_its_energy_by_the_clock_alone():
    six = contract(SIX_PRICES)

    bill = six.bill([quarter(local_ts("2026-01-13T02:00"), 1, 2)])

    assert in_kwh(bill) == {"red_night": 3}
    assert bill.cost == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("day", "quarters"), [("2026-03-29", 22), ("2026-10-25", 30), ("2026-11-25", 26)]
)
def test_over_a_change_of_the_clocks_night_is_shorter_or_longer(day, quarters):
    start = local_ts(day)

    night = [ts for ts in range(start, start + 10 * 3600, 900) if contract(CONTRACT).is_night(ts)]

    assert len(night) == quarters


@given(ts=st.integers(0, 2_000_000_000), zone=st.sampled_from(["Asia/Kathmandu", "Europe/Paris"]))
def test_the_shares_of_a_quarter_hour_are_those_of_its_seconds(ts, zone):
    six = Contract(settings(Path(), providers=[SIX_PRICES], timezone=zone))
    start = ts - ts % 900

    shares = {tariff.name: by_day for tariff, by_day, _ in six.shares(start)}

    seconds = Counter(six.tariff_at(second).name for second in range(start, start + 900, 60))
    assert shares == {name: pytest.approx(n / 15) for name, n in seconds.items()}


def test_the_tariffs_of_all_lines_have_names():
    weekend = {"name": "weekend", "eur_per_kwh": 0.1, "days": ["weekend"]}
    later = {
        "name": "HP/HC",
        "from": "2027-01-01",
        "tariffs": [weekend, {"name": "day", "eur_per_kwh": 0.2}],
    }

    assert contract(NIGHT_CONTRACT, later).tariffs == ["day", "night", "weekend"]
    assert contract(DATED[0]).tariffs == []
