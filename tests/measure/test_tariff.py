from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cw_mqtt.measure.tariff import is_night, price_per_kwh
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


@pytest.mark.parametrize(("night", "price"), [(False, 0.2), (True, 0.1)])
def test_each_tariff_has_its_price(tmp_path: Path, night: bool, price: float) -> None:
    contract = settings(tmp_path, providers=[NIGHT_CONTRACT])

    assert price_per_kwh(1_790_000_000, contract, night=night) == price


def test_without_a_contract_energy_costs_nothing(tmp_path: Path) -> None:
    assert price_per_kwh(1_790_000_000, settings(tmp_path), night=False) == 0
