from datetime import datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cw_mqtt.measure.tariff import cost, is_night, price_changes, price_per_kwh
from cw_mqtt.model import JOULES_PER_KWH, EnergySum
from tests.settings import NIGHT_CONTRACT, settings

PARIS = ZoneInfo("Europe/Paris")
CONTRACT = {**NIGHT_CONTRACT, "night_hours": ["22:30-06:30", "12:00-14:00"]}


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
def test_night_is_inside_any_window_of_local_time(tmp_path, local, night):
    assert is_night(local_ts(local), settings(tmp_path, providers=[CONTRACT])) is night


def test_without_a_contract_it_is_always_day(tmp_path):
    assert not is_night(local_ts("2026-11-23T00:00:00"), settings(tmp_path))


@pytest.mark.parametrize(
    ("local", "night"), [("2026-11-30T23:00:00", True), ("2026-12-01T23:00:00", False)]
)
def test_hours_change_on_the_day_from_which_a_new_line_is_valid(tmp_path, local, night):
    later = {**NIGHT_CONTRACT, "from": "2026-12-01", "night_hours": ["01:00-05:00"]}

    providers = [NIGHT_CONTRACT, later]

    assert is_night(local_ts(local), settings(tmp_path, providers=providers)) is night


DATED = [
    {"name": "HP/HC", "day": {"eur_per_kwh": 0.2, "eur_per_month": 31}},
    {
        **NIGHT_CONTRACT,
        "from": "2026-10-15",
        "day": {"eur_per_kwh": 0.4, "eur_per_month": 62},
    },
]


def carried_kwh(day, night):
    joules = [kwh * JOULES_PER_KWH for kwh in (day, night)]
    return EnergySum(2, 8, *joules, 1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("first", "until", "euros"),
    [
        ("2026-10-01", "2026-10-02", 10 * 0.2 + 5 * 0.2 + 1),
        ("2026-10-15", "2026-10-16", 10 * 0.4 + 5 * 0.1 + 2),
        ("2026-10-25", "2026-10-26", 10 * 0.4 + 5 * 0.1 + 2),  # of 25 hours
        ("2026-11-01", "2026-12-01", 10 * 0.4 + 5 * 0.1 + 62),
    ],
)
def test_a_period_costs_its_energy_and_its_part_of_the_monthly_charge(
    tmp_path, first, until, euros
):
    paid = cost(
        carried_kwh(10, 5), local_ts(first), local_ts(until), settings(tmp_path, providers=DATED)
    )

    assert paid == pytest.approx(euros)


def test_where_nothing_was_measured_the_monthly_charge_is_due(tmp_path):
    month = local_ts("2026-11-01"), local_ts("2026-12-01")

    assert cost(None, *month, settings(tmp_path, providers=DATED)) == pytest.approx(62)


def test_a_contract_of_two_tariffs_has_one_monthly_charge(tmp_path):
    both = {"day": {"eur_per_kwh": 0, "eur_per_month": 15}}
    contract = {**NIGHT_CONTRACT, **both, "night": {"eur_per_kwh": 0, "eur_per_month": 16}}
    month = local_ts("2026-11-01"), local_ts("2026-12-01")

    assert cost(None, *month, settings(tmp_path, providers=[contract])) == pytest.approx(16)


def test_before_the_first_contract_nobody_knows_the_cost(tmp_path):
    day = local_ts("2026-10-01"), local_ts("2026-10-02")

    assert cost(None, *day, settings(tmp_path, providers=DATED[1:])) is None


def test_prices_change_at_the_start_of_a_local_day(tmp_path):
    changes = price_changes(settings(tmp_path, providers=DATED))

    assert changes == [local_ts("2026-10-15")]


@given(cuts=st.lists(st.integers(0, 40 * 86400), min_size=2))
def test_costs_of_parts_add_up_over_a_change_of_the_clocks(cuts):
    whole = settings(Path("data"), providers=DATED[1:])
    edges = [local_ts("2026-10-15") + cut for cut in sorted(cuts)]

    parts = sum(cost(None, *part, whole) for part in pairwise(edges))

    assert parts == pytest.approx(cost(None, edges[0], edges[-1], whole))


@pytest.mark.parametrize(("night", "price"), [(False, 0.2), (True, 0.1)])
def test_each_tariff_has_its_price(tmp_path: Path, night: bool, price: float) -> None:
    contract = settings(tmp_path, providers=[NIGHT_CONTRACT])

    assert price_per_kwh(1_790_000_000, contract, night=night) == price


def test_without_a_contract_energy_costs_nothing(tmp_path: Path) -> None:
    assert price_per_kwh(1_790_000_000, settings(tmp_path), night=False) == 0
