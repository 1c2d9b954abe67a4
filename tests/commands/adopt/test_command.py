"""`cw-mqtt adopt` as its users meet it, on a real PostgreSQL."""

import json
import re
from pathlib import Path

import pytest

from cw_mqtt.config.load import load_settings
from tests.amounts import amount
from tests.command import call
from tests.old_base import (
    OTHER_VARIANT,
    PLAIN_VARIANT,
    adopt,
    ask,
    checksums,
    make_old_base,
    tell,
)

MEASURES = amount(20_000, torture=1_000_000)
COLUMNS = (
    "SELECT table_name, column_name, data_type FROM information_schema.columns "
    "WHERE table_schema = 'public' ORDER BY 1, 2"
)
DOCUMENTATION = (Path(__file__).parents[3] / "docs" / "adopt.md").read_text()


@pytest.mark.parametrize("variant", [PLAIN_VARIANT, OTHER_VARIANT], ids=["plain", "other"])
def test_many_measures_are_adopted_in_place_as_they_are(config, postgres_url, variant):
    make_old_base(postgres_url, MEASURES, variant)
    before = checksums(postgres_url)

    result = adopt(config, "--database", postgres_url, "--yes")

    assert result.exit_code == 0, result.stderr
    assert f"Done: {MEASURES:,} measures before, {MEASURES:,} after." in result.stdout
    assert checksums(postgres_url) == before
    types = "SELECT data_type FROM information_schema.columns WHERE column_name = 'timestamp'"
    assert set(ask(postgres_url, types)) == {("bigint",)}


def test_before_anything_is_done_it_says_what_and_asks(config, url):
    before = checksums(url)

    result = adopt(config, "--database", url, typed="n\n")

    assert result.exit_code == 1
    for said in (
        'sensor 3, "Chauffe-eau été": 499 measures, 2014-11-03 to 2014-11-03; 1 of them',
        'contract 5, "Heures creuses", current',
        'user "hélène", administrator',
        "1,000 measures in all",
        "measures.id becomes a 64-bit number",
        "measures.timestamp becomes a 64-bit number",
        "pg_dump --format=custom",
        f"{config} is written",
        "Go on? [y/N]",
    ):
        assert said in result.stdout
    assert not config.exists()
    assert checksums(url) == before
    assert ask(url, "SELECT to_regclass('alembic_version')") == [(None,)]


def test_with_json_and_without_yes_it_only_looks(config, url):
    result = adopt(config, "--database", url, "--json")

    report = json.loads(result.stdout)
    assert (report["done"], report["measures"], report["config"]) == (False, 1000, str(config))
    assert [(s["id"], s["measures"]) for s in report["sensors"]] == [(3, 499), (7, 501), (9, 0)]
    assert ask(url, "SELECT to_regclass('alembic_version')") == [(None,)]


def test_the_settings_it_writes_are_right(config, url):
    adopt(config, "--database", url, "--yes")

    checked = call(config, "check-config")
    settings = load_settings(config)
    assert "is right: 1 receiver(s), 2 sensor(s)" in checked.stdout
    assert [sensor.slug for sensor in settings.sensors] == ["chauffe-eau-ete", "citizenwatt"]
    assert settings.sensors[1].key.get_secret_value() == bytes(range(16))
    assert settings.database.url == url
    assert [line.name for line in settings.providers if line.current] == ["Heures creuses"]
    assert settings.providers[1].night_hours[0].start_s == 80_100
    assert config.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "lacking",
    [
        "ALTER TABLE providers DROP day_slope_watt_euros, DROP night_slope_watt_euros",
        "ALTER TABLE providers DROP threshold, DROP current",
        "ALTER TABLE users DROP start_night_rate, DROP end_night_rate, DROP is_admin",
        "ALTER TABLE sensors DROP last_timer",
        "UPDATE sensors SET name = E'two\\nlines: \"é\" #' WHERE id = 7",
        "DELETE FROM measures",
    ],
)
def test_a_base_that_lacks_something_is_adopted(config, url, lacking):
    tell(url, lacking)

    result = adopt(config, "--database", url, "--yes")

    assert result.exit_code == 0, result.stderr
    assert call(config, "check-config").exit_code == 0


def test_where_no_sensor_has_a_key_the_settings_say_what_is_missing(config, url):
    tell(url, "UPDATE sensors SET aes_key = NULL")

    result = adopt(config, "--database", url, "--yes")

    assert result.exit_code == 0
    assert "waits in config.yaml: the old base has no key for it" in result.stdout
    assert "sensors: is missing" in call(config, "check-config").stderr


def test_sensors_are_tied_to_their_ids_whatever_they_are_called_later(config, url):
    adopt(config, "--database", url, "--yes")

    links = ask(url, "SELECT slug, sensor_id FROM sensor_slugs ORDER BY 2")

    assert links == [("chauffe-eau-ete", 3), ("citizenwatt", 7), ("grenier-nord", 9)]


def test_a_second_run_has_nothing_to_do(config, url):
    adopt(config, "--database", url, "--yes")
    written = config.read_text()

    result = adopt(config, "--database", url)

    assert result.exit_code == 0
    assert "there is nothing to do" in result.stdout
    assert config.read_text() == written
    assert list(config.parent.glob("*.yaml")) == [config]


def test_settings_that_are_there_are_left_alone(config, url):
    config.write_text("# url: " + url)

    result = adopt(config, "--database", url, "--yes")
    again = adopt(config, "--database", url)

    beside = config.with_name("config.adopted.yaml")
    assert f"Written: {beside}" in result.stdout
    assert config.read_text() == "# url: " + url
    assert load_settings(beside).database.url == url
    assert "nothing to do" in again.stdout


def test_the_old_settings_name_the_database_its_password_and_the_port(config, tmp_path, url):
    old = tmp_path / "old.json"
    port, name = url.rpartition(":")[2].split("/")
    database = {"username": "postgres", "password": "p#w: é", "host": f"127.0.0.1:{port}"}
    others = {"database_type": "postgresql+psycopg2", "salt": "s", "port": 8123}
    old.write_text(json.dumps(database | others | {"database": name, "max_returned_values": 900}))

    result = adopt(config, "--old-config", old, "--yes")

    settings = load_settings(config)
    assert settings.database.password.get_secret_value() == "p#w: é"
    assert (settings.web.port, settings.web.max_returned_values) == (8123, 900)
    assert "p#w" not in result.output + config.read_text()
    assert (tmp_path / "db-password").stat().st_mode & 0o777 == 0o600


def test_users_keep_their_logins_and_password_hashes(config, url):
    users = "SELECT id, login, password, is_admin FROM users ORDER BY id"
    before = ask(url, users)

    adopt(config, "--database", url, "--yes")

    assert ask(url, users) == before


def test_a_sequence_that_lags_behind_is_put_right(config, url):
    tell(url, "SELECT setval('measures_id_seq', 5)")

    adopt(config, "--database", url, "--yes")

    assert ask(url, "SELECT nextval('measures_id_seq') - max(id) FROM measures") == [(1,)]


def test_a_sequence_that_is_ahead_stays_so(config, url):
    ahead = "SELECT last_value - (SELECT max(id) FROM measures) FROM measures_id_seq"
    before = ask(url, ahead)

    adopt(config, "--database", url, "--yes")

    assert before == [(10,)]
    assert ask(url, "SELECT nextval('measures_id_seq') - max(id) FROM measures") == [(11,)]


def test_the_way_back_in_the_documentation_leaves_the_old_base(config, url):
    (way_back,) = re.findall("^```sql\n(.*?)^```", DOCUMENTATION, re.MULTILINE | re.DOTALL)
    before = checksums(url), ask(url, COLUMNS)
    adopt(config, "--database", url, "--yes")

    tell(url, way_back)

    assert (checksums(url), ask(url, COLUMNS)) == before
    assert adopt(config, "--database", url, "--yes").exit_code == 0


@pytest.mark.parametrize(
    ("there", "written"), [("secret\n", "db-password"), ("another\n", "db-password.adopted")]
)
def test_a_password_file_that_is_there_is_used_or_left_alone(config, url, there, written):
    password_file = config.with_name("db-password")
    password_file.write_text(there)

    adopt(config, "--database", url.replace("postgres@", "postgres:secret@"), "--yes")

    assert f'password: !file "{written}"' in config.read_text()
    assert load_settings(config).database.password.get_secret_value() == "secret"
    assert password_file.read_text() == there


def test_a_base_in_another_encoding_is_adopted_in_place(config, latin1_url):
    make_old_base(latin1_url)

    result = adopt(config, "--database", latin1_url, "--yes")

    assert result.exit_code == 0, result.stderr
    assert load_settings(config).sensors[0].name == "Chauffe-eau été"
