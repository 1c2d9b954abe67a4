"""Databases that cannot hold every character: no reading may wait for one."""

import logging

import pytest

from cw_mqtt.records import Role
from cw_mqtt.store.users import Accounts
from tests.home import Home, reading
from tests.postgres import PostgresServer
from tests.settings import NIGHT_CONTRACT

HOUSE, FLAT = "Maison 🏠", "Étage ☃"
WRITTEN = {
    "LATIN1": (r"Maison \U0001f3e0", r"Étage \u2603"),
    "WIN1251": (r"Maison \U0001f3e0", r"\xc9tage \u2603"),
    "SQL_ASCII": (HOUSE, FLAT),
}


@pytest.fixture(params=WRITTEN)
def encoded(request, tmp_path, shared_postgres: PostgresServer):
    """A home on a database of each encoding, and what its sensors are called there."""
    name = f"in_{request.param.lower()}"
    shared_postgres.execute(
        f"CREATE DATABASE {name} ENCODING '{request.param}' TEMPLATE template0 "
        "LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    home = Home(tmp_path, shared_postgres.database_url(name))
    home.name_sensors({"main": HOUSE, "flat": FLAT}, providers=[{**NIGHT_CONTRACT, "name": FLAT}])
    yield home, WRITTEN[request.param]
    home.close()
    shared_postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_readings_are_stored_under_a_substitute_that_is_told_once(encoded, caplog):
    home, names = encoded
    home.hear(reading(0), reading(8, "flat"), reading(16))

    for _again in range(3):
        home.store()

    assert home.stored() == [0, 8, 16]
    assert home.ask("SELECT name FROM sensors ORDER BY id") == [(name,) for name in names]
    assert home.ask("SELECT name FROM providers") == [(names[1],)]
    told = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    # of the contract, which is called as the flat is, and of both sensors
    substitutes = [name for name in (names[1], *names) if name not in (HOUSE, FLAT)]
    assert [text.rpartition("there it is ")[2] for text in told] == [
        f"'{name}'" for name in substitutes
    ]


def test_a_sensor_is_renamed_and_found_again_by_such_a_name(encoded, caplog):
    home, names = encoded
    home.store()
    home.name_sensors({"main": FLAT, "flat": HOUSE})
    home.store()
    home.name_sensors({"other": FLAT, "another": HOUSE})
    home.store()

    rows = "SELECT l.slug, s.name FROM sensors s JOIN sensor_slugs l ON l.sensor_id = s.id"

    assert sorted(home.ask(rows)) == sorted(
        [("main", names[1]), ("flat", names[0]), ("other", names[1]), ("another", names[0])]
    )


def test_a_user_may_have_any_name(encoded, caplog):
    home, _ = encoded
    home.store()
    accounts = Accounts(home.engine)

    accounts.add("zoë 🐢", "hash", Role.READ)

    found = accounts.find("zoë 🐢")
    assert found
    assert found.password_hash == "hash"
    assert accounts.find("zoë") is None
    assert accounts.find("a\0\ud83c") is None


def test_a_name_that_grows_too_long_is_cut(encoded, caplog):
    home, _ = encoded
    home.name_sensors({"main": "🏠" * 60})
    home.hear(reading(0))

    home.store()

    assert home.stored() == [0]
