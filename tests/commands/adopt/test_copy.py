"""`cw-mqtt adopt --to`: an old base copied into each kind of database."""

import json

import pytest

from cw_mqtt.config.load import load_settings
from cw_mqtt.store.engine import sqlite_engine
from cw_mqtt.store.schema import bring_up_to_date
from tests.home import Home, reading
from tests.old_base import OTHER_VARIANT, adopt, ask, checksums, make_old_base, tell

OLD_TABLES = {
    "measures": "id, sensor_id, value, timestamp, night_rate",
    "sensors": "id, name, type_id, last_timer, aes_key",
    "providers": "*",
    "users": "*",
    "measures_types": "*",
}


@pytest.fixture
def url(postgres_url):
    """The URL of an old base that has more than every old base has."""
    make_old_base(postgres_url, variant=OTHER_VARIANT)
    return postgres_url


@pytest.fixture
def target(tmp_path):
    return tmp_path / "data" / "citizenwatt.sqlite"


@pytest.fixture
def other_url(shared_postgres):
    shared_postgres.execute("CREATE DATABASE other")
    yield shared_postgres.database_url("other")
    shared_postgres.execute("DROP DATABASE other WITH (FORCE)")


def rows(target, query):
    engine = sqlite_engine(target)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def test_an_old_base_arrives_in_sqlite_as_it_was(config, url, target):
    before = checksums(url)

    result = adopt(config, "--database", url, "--to", target, "--yes", "--json")

    for table, columns in OLD_TABLES.items():
        query = f"SELECT {columns} FROM {table} ORDER BY id"
        assert rows(target, query) == ask(url, query)
    assert json.loads(result.stdout)["copied"]["measures"] == 1000
    assert checksums(url) == before
    assert ask(url, "SELECT to_regclass('alembic_version')") == [(None,)]


def test_an_old_base_arrives_in_another_postgres_and_its_numbers_go_on(config, url, other_url):
    adopt(config, "--database", url, "--to", other_url, "--yes")

    assert checksums(other_url) == checksums(url)
    tell(other_url, "INSERT INTO measures (sensor_id, value, timestamp) VALUES (7, 1, 2)")
    ((highest,),) = ask(url, "SELECT max(id) FROM measures")
    assert ask(other_url, "SELECT max(id) FROM measures") == [(highest + 1,)]


def test_a_database_of_ours_moves_with_all_that_is_in_it(tmp_path, config, other_url):
    folder = tmp_path / "data"
    folder.mkdir()
    home = Home(folder, None)
    home.hear(reading(1), reading(9, power_w=0.1 + 0.2))
    home.store()

    result = adopt(config, "--database", folder / "citizenwatt.sqlite", "--to", other_url, "--yes")

    assert "measures: 2 rows" in result.stdout
    assert f"Your config.yaml must have database.url: {other_url}" in result.stdout
    for table in ("measures", "bridge_positions", "bridge_states", "sensor_slugs", "rollups"):
        query = f"SELECT * FROM {table}"
        assert sorted(ask(other_url, query)) == sorted(home.ask(query))
    home.close()


def test_a_copy_comes_with_its_settings_and_a_second_run_changes_nothing(config, url, target):
    for _again in range(2):
        result = adopt(config, "--database", url, "--to", target, "--yes")

        settings = load_settings(config)
        assert result.exit_code == 0
        assert "measures: 1,000 rows" in result.stdout
        assert (settings.database.url, settings.data_dir) == (None, target.parent)
        config.unlink()


def test_a_target_with_other_rows_is_refused(config, url, target):
    adopt(config, "--database", url, "--to", target, "--yes")
    tell(url, "DELETE FROM measures WHERE id = 41")

    result = adopt(config, "--database", url, "--to", target, "--yes")

    assert result.exit_code == 2
    assert "has other rows; give another database to --to" in result.stderr


def test_a_target_with_tables_of_something_else_is_refused(config, url, target):
    target.parent.mkdir()
    with sqlite_engine(target).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE recipes (id INTEGER)")

    result = adopt(config, "--database", url, "--to", target, "--yes")

    assert result.exit_code == 2
    assert "tables of something else (recipes)" in result.stderr


def test_nothing_is_kept_when_not_all_rows_arrive(config, url, target):
    target.parent.mkdir()
    engine = sqlite_engine(target)
    bring_up_to_date(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER lose AFTER INSERT ON measures WHEN new.id = 41 "
            "BEGIN DELETE FROM measures WHERE id = 41; END"
        )

    result = adopt(config, "--database", url, "--to", target, "--yes")

    assert result.exit_code == 1
    assert "measures: 999 of 1,000 rows arrived; nothing was changed" in result.stderr
    assert rows(target, "SELECT id FROM measures UNION SELECT id FROM sensors") == []
    assert not config.exists()


def test_a_base_is_copied_to_one_whose_encoding_lacks_a_character(config, url, latin1_url):
    tell(url, "UPDATE sensors SET name = 'Maison 🏠' WHERE id = 3")
    tell(url, "UPDATE providers SET name = 'Tarif ☃' WHERE id = 5")

    result = adopt(config, "--database", url, "--to", latin1_url, "--yes")

    assert result.exit_code == 0, result.stderr
    assert "1,000 measures" in result.stdout
    assert load_settings(config).sensors[0].name == "Maison 🏠"
    assert ask(latin1_url, "SELECT name FROM sensors WHERE id = 3") == [(r"Maison \U0001f3e0",)]
    assert ask(latin1_url, "SELECT slug FROM sensor_slugs WHERE sensor_id = 3") == [("maison",)]
