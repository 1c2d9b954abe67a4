from datetime import date

import pytest

from cw_mqtt.config.contract import ProviderSettings, line_on
from cw_mqtt.errors import UsageError


def rows(home):
    return home.ask(
        "SELECT l.slug, s.id, s.name FROM sensors s JOIN sensor_slugs l ON l.sensor_id = s.id "
        "ORDER BY s.id, l.slug"
    )


def test_a_new_sensor_gets_a_row_of_the_type_electricity(home):
    home.store()

    types = home.ask("SELECT t.name FROM sensors s JOIN measures_types t ON t.id = s.type_id")
    assert rows(home) == [("main", 1, "CitizenWatt")]
    assert types == [("Électricité",)]


def test_a_renamed_sensor_keeps_its_id(home):
    home.store()
    home.name_sensors({"main": "Maison d'été"})

    home.store()

    assert rows(home) == [("main", 1, "Maison d'été")]


def test_two_sensors_can_swap_their_names(home):
    home.name_sensors({"a": "Cave"})
    home.store()
    home.name_sensors({"a": "Cave", "b": "Grenier"})
    home.store()
    home.name_sensors({"a": "Grenier", "b": "Cave"})

    home.store()

    assert rows(home) == [("a", 1, "Grenier"), ("b", 2, "Cave")]


def test_a_sensor_cannot_take_the_name_of_another_one_in_the_database(home):
    home.name_sensors({"a": "Cave"})
    home.store()
    home.name_sensors({"b": "Grenier"})
    home.store()
    home.name_sensors({"b": "Cave"})

    with pytest.raises(UsageError, match=r"'Cave' is that of another sensor .*number 1"):
        home.store()

    assert rows(home) == [("a", 1, "Cave"), ("b", 2, "Grenier")]


def test_a_new_slug_with_a_known_name_continues_that_sensor(home):
    home.store()
    home.name_sensors({"house": "CitizenWatt"})

    home.store()

    assert rows(home) == [("house", 1, "CitizenWatt"), ("main", 1, "CitizenWatt")]


DAY_AND_NIGHT = {
    "name": "Tarif Bleu HP/HC",
    "current": True,
    "day": {"eur_per_kwh": 0.2068, "eur_per_month": 15.96},
    "night": {"eur_per_kwh": 0.1579, "eur_per_month": 15.96},
    "night_hours": ["22:30-06:30"],
    "threshold_w": 6000,
}
FLAT = {"name": "Vert", "current": True, "day": {"eur_per_kwh": 0.25, "eur_per_month": 12}}
COLUMNS = (
    "name, day_slope_watt_euros, day_constant_watt_euros, night_slope_watt_euros, "
    "night_constant_watt_euros, current, threshold"
)


def store(home, *contracts):
    home.name_sensors({"main": "CitizenWatt"}, providers=contracts)
    home.store()
    return home.ask(f"SELECT {COLUMNS} FROM providers ORDER BY id")


def test_a_contract_becomes_a_row(home):
    row = ("Tarif Bleu HP/HC", 0.2068, 15.96, 0.1579, 15.96, 1, 6000)

    assert store(home, DAY_AND_NIGHT) == [row]


def test_a_flat_price_is_the_same_by_day_and_by_night(home):
    assert store(home, FLAT) == [("Vert", 0.25, 12.0, 0.25, 12.0, 1, 0)]


def test_a_contract_that_left_the_settings_stays_and_is_not_current(home):
    store(home, DAY_AND_NIGHT)

    rows = store(home, FLAT)

    assert [(row[0], row[5]) for row in rows] == [("Tarif Bleu HP/HC", 0), ("Vert", 1)]


def test_new_prices_of_a_contract_change_its_row(home):
    store(home, FLAT)

    rows = store(home, {**FLAT, "day": {"eur_per_kwh": 0.3}})

    assert [row[:2] for row in rows] == [("Vert", 0.3)]


def test_settings_without_a_contract_leave_the_table_as_it_is(home):
    before = store(home, FLAT)

    assert store(home) == before


@pytest.mark.parametrize(
    ("today", "price"), [("2024-06-01", 0.1), ("2025-02-01", 0.2), ("2026-01-01", 0.2)]
)
def test_of_several_lines_the_newest_that_has_begun_is_in_force(today, price):
    prices = {date(2027, 1, 1): 0.3, None: 0.1, date(2025, 2, 1): 0.2}
    lines = [
        ProviderSettings.model_validate(
            {"name": "Vert", "from": since, "day": {"eur_per_kwh": eur}}
        )
        for since, eur in prices.items()
    ]

    assert line_on(lines, date.fromisoformat(today)).tariffs[0].eur_per_kwh == price
