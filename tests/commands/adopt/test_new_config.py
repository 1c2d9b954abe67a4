"""The settings made for an adopted base, by values."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from cw_mqtt.commands.adopt.new_config import (
    NewDatabase,
    adopt_sensors,
    config_text,
    night_hours,
    read_key,
    scalar,
)
from cw_mqtt.commands.adopt.old_database import OldSettings
from cw_mqtt.config.load import load_settings
from cw_mqtt.store.old_base import OldBase, OldProvider, OldSensor, OldUser

KEY = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]"
KEY_HEX = "000102030405060708090a0b0c0d0eff"
SENSOR = OldSensor(7, "CitizenWatt", KEY)
FLAT = OldProvider(1, "Bleu", 0.14, 7.9, 0.14, 7.9, 1, 6000)
BY_NIGHT = OldProvider(2, "Creuses", 0.16, 9.1, 0.11, 9.1, 0, 0)


SQLITE, USUAL = NewDatabase(), OldSettings()


def write(folder, sensors=(SENSOR,), providers=(), users=(), database=SQLITE, old=USUAL):
    config = folder / "config.yaml"
    base = OldBase("nas/cw", None, sensors, providers, users, ())
    config.write_text(config_text(base, adopt_sensors(sensors), database, old))
    return config


def settings_of(folder, **given):
    return load_settings(write(folder, **given))


def slugs(*names):
    sensors = [OldSensor(i, name) for i, name in enumerate(names, 1)]
    return [sensor.slug for sensor in adopt_sensors(sensors)]


def test_a_sensor_is_written_with_its_name_and_key(tmp_path):
    (sensor,) = settings_of(tmp_path).sensors

    assert (sensor.slug, sensor.name) == ("citizenwatt", "CitizenWatt")
    assert sensor.key.get_secret_value().hex() == KEY_HEX


@pytest.mark.parametrize(
    ("name", "written"),
    [
        *((name, name) for name in ('say "hi"', "a: b # c", "!env HOME", "\\ '", "- x", "null")),
        ("two\nlines", "two lines"),
        ("a\ttab", "a tab"),
        ("é\u2028🔌", "é 🔌"),
    ],
)
def test_a_sensor_may_have_any_name_but_for_control_characters(tmp_path, name, written):
    settings = settings_of(tmp_path, sensors=[replace(SENSOR, name=name)])

    assert settings.sensors[0].name == written


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
@example("\x85\ufeff\x1b...\n---")
def test_any_text_is_written_in_one_line_and_read_back(text):
    written = scalar(text)

    assert len(written.splitlines()) == 1
    assert YAML(typ="safe", pure=True).load(f"a: {written}")["a"] == text


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Chauffe-eau été"], ["chauffe-eau-ete"]),
        (["Salon", "SALON", "salon!"], ["salon", "salon-2", "salon-3"]),
        (["bridge"], ["bridge-2"]),
        (["電気", "", None], ["sensor-1", "sensor-2", "sensor-3"]),
        (["x" * 200, "x" * 201], ["x" * 28, "x" * 28 + "-2"]),
    ],
)
def test_slugs_are_made_of_names_and_differ(names, expected):
    assert slugs(*names) == expected


def test_a_sensor_that_has_a_slug_keeps_it():
    sensors = adopt_sensors([OldSensor(1, "Main"), OldSensor(2, "Other", slug="main")])

    assert [sensor.slug for sensor in sensors] == ["main-2", "main"]


def test_names_that_look_the_same_are_told_apart():
    sensors = adopt_sensors([OldSensor(1, "\u00e9"), OldSensor(2, "e\u0301")])

    assert [sensor.name for sensor in sensors] == ["é", "é (2)"]


@pytest.mark.parametrize(
    ("aes_key", "problem"),
    [
        (None, "no key"),
        ("", "no key"),
        ("[1, 2]", "2 numbers"),
        ("[256" + ", 0" * 15 + "]", "not a list"),
        ("[-1" + ", 0" * 15 + "]", "not a list"),
        ("16", "not a list"),
        ("0001020304", "not a list"),
        ('"0123456789abcdef"', "not a list"),
        ("{}", "0 numbers"),
        ("\ud83d", "not a list"),
    ],
)
def test_a_key_that_cannot_be_read_says_why_and_shows_nothing(aes_key, problem):
    key_hex, said = read_key(aes_key)

    assert key_hex is None
    assert problem in said
    assert "0123" not in said


def test_a_sensor_without_a_key_is_written_as_a_comment_that_can_be_taken_away(tmp_path):
    config = write(tmp_path, sensors=[SENSOR, OldSensor(9, "Grenier", "[1]")])
    text = config.read_text()
    waiting = len(load_settings(config).sensors)

    entry = re.sub("^  #(?! )|^  #(?=  )", "  ", text, flags=re.MULTILINE)
    config.write_text(entry.replace('key: ""', f'key: "{KEY_HEX}"'))

    assert "its key in the old base has 1 numbers, and not 16" in text
    assert waiting == 1
    assert [sensor.slug for sensor in load_settings(config).sensors] == ["citizenwatt", "grenier"]


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        ([], None),
        ([OldUser("a", 1, None, None)], None),
        ([OldUser("a", 1, 79200, 21600)], "22:00-06:00"),
        ([OldUser("a", 0, 1, 3600), OldUser("b", 1, 80100, 20700)], "22:15-05:45"),
        ([OldUser("a", 0, 0, 3600), OldUser("b", 1, None, 20700)], "00:00-01:00"),
        ([OldUser("a", 1, 3600, 3659), OldUser("b", 1, -1, 60), OldUser("c", 1, 0, 90000)], None),
    ],
)
def test_the_night_is_that_of_the_first_administrator_who_has_one(users, expected):
    assert night_hours(users) == expected


def test_contracts_keep_prices_and_night_hours(tmp_path):
    users = [OldUser("ada", 1, 80100, 20700)]
    flat, night = settings_of(tmp_path, providers=[FLAT, BY_NIGHT], users=users).providers

    assert (flat.name, flat.current, flat.threshold_w) == ("Bleu", True, 6000)
    assert (flat.day.eur_per_kwh, flat.day.eur_per_month, flat.night) == (0.14, 7.9, None)
    assert (night.night.eur_per_kwh, night.current) == (0.11, False)
    assert [(w.start_s, w.end_s) for w in night.night_hours] == [(80100, 20700)]


def test_a_night_price_without_hours_is_kept_with_the_usual_hours_and_a_remark(tmp_path):
    config = write(tmp_path, providers=[BY_NIGHT])

    assert load_settings(config).providers[0].night.eur_per_kwh == 0.11
    assert "the old base had none: see your contract" in config.read_text()


def test_a_contract_without_prices_is_written_with_a_remark(tmp_path):
    config = write(tmp_path, providers=[OldProvider(3, "Vert")])

    assert load_settings(config).providers[0].day.eur_per_kwh == 0
    assert "the old base had no price" in config.read_text()


@pytest.mark.parametrize(
    "impossible",
    [
        replace(FLAT, name=None),
        replace(FLAT, day_slope_watt_euros=-0.1),
        replace(FLAT, night_slope_watt_euros=float("nan")),
        replace(FLAT, threshold=-5),
    ],
)
def test_an_impossible_contract_is_left_to_the_user(tmp_path, impossible):
    config = write(tmp_path, providers=[impossible])

    assert load_settings(config).providers == ()
    assert "Contract number 1" in config.read_text()


def test_of_several_current_contracts_the_first_is(tmp_path):
    contracts = settings_of(tmp_path, providers=[FLAT, replace(FLAT, id=2, name="B")]).providers

    assert [contract.current for contract in contracts] == [True, False]


def test_the_page_stays_where_it_was(tmp_path):
    settings = settings_of(tmp_path, old=OldSettings(port=8081, max_returned_values=900))

    assert (settings.web.port, settings.web.max_returned_values) == (8081, 900)


def test_the_password_is_in_a_file_of_its_own(tmp_path):
    (tmp_path / "db-password").write_text("a#b: c\n")
    there = NewDatabase(url="postgresql://me@nas:5433/cw", password_file="db-password")

    database = settings_of(tmp_path, database=there).database

    assert database.url == "postgresql://me@nas:5433/cw"
    assert database.password.get_secret_value() == "a#b: c"


def test_sqlite_is_in_the_data_folder(tmp_path):
    settings = settings_of(tmp_path, database=NewDatabase(data_dir="../store"))

    assert settings.database.url is None
    assert Path(settings.data_dir).name == "store"
