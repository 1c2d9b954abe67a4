"""A base copied from and to each kind of database, row by row the same."""

import pytest

from cw_mqtt.errors import ResourceAwayError, UsageError
from cw_mqtt.store import copying
from cw_mqtt.store.copying import copy_base, rows_to_copy
from cw_mqtt.store.engine import sqlite_engine
from cw_mqtt.store.schema import bring_up_to_date
from tests.home import Home, reading
from tests.old_base import OTHER_VARIANT, checksums, make_old_base, tell


@pytest.fixture
def old_home(postgres_home):
    make_old_base(postgres_home.url, variant=OTHER_VARIANT)
    return postgres_home


@pytest.fixture
def sqlite_home(tmp_path):
    folder = tmp_path / "sqlite"
    folder.mkdir()
    home = Home(folder, None)
    yield home
    home.close()


@pytest.fixture
def other_url(shared_postgres):
    shared_postgres.execute("CREATE DATABASE other")
    yield shared_postgres.database_url("other")
    shared_postgres.execute("DROP DATABASE other WITH (FORCE)")


@pytest.fixture
def other_home(tmp_path, other_url):
    folder = tmp_path / "other"
    folder.mkdir()
    home = Home(folder, other_url)
    yield home
    home.close()


def copy(source, target):
    return copy_base(source.engine, target.engine, lambda _: None)


def all_rows(home, table, columns="*"):
    return home.ask(f"SELECT {columns} FROM {table} ORDER BY 1")


OLD_TABLES = {
    "measures": "id, sensor_id, value, timestamp, night_rate",
    "sensors": "id, name, type_id, last_timer, aes_key",
    "providers": "*",
    "users": "*",
    "measures_types": "*",
}


@pytest.mark.parametrize(("table", "columns"), OLD_TABLES.items())
def test_an_old_base_arrives_in_sqlite_as_it_was(old_home, sqlite_home, table, columns):
    copied = copy(old_home, sqlite_home)

    rows = all_rows(sqlite_home, table, columns)
    assert rows == all_rows(old_home, table, columns)
    assert copied[table].rows == len(rows)


def test_an_old_base_arrives_in_another_postgres_as_it_was(old_home, other_home):
    copy(old_home, other_home)

    assert checksums(other_home.url) == checksums(old_home.url)


def test_the_source_stays_as_it_was(old_home, sqlite_home):
    before = checksums(old_home.url)

    copy(old_home, sqlite_home)

    assert checksums(old_home.url) == before
    assert old_home.ask("SELECT to_regclass('alembic_version')") == [(None,)]


def test_a_database_of_ours_moves_with_all_that_is_in_it(sqlite_home, other_home):
    sqlite_home.hear(reading(1), reading(9, power_w=0.1 + 0.2))
    sqlite_home.store()

    copied = copy(sqlite_home, other_home)

    for table in ("measures", "bridge_positions", "bridge_states", "sensor_slugs"):
        assert all_rows(other_home, table) == all_rows(sqlite_home, table)
    assert copied["measures"].rows == 2


def test_new_rows_are_numbered_above_the_copied_ones(old_home, other_home):
    copy(old_home, other_home)

    other_home.tell("INSERT INTO measures (sensor_id, value, timestamp) VALUES (7, 1, 2)")

    ((highest,),) = old_home.ask("SELECT max(id) FROM measures")
    assert other_home.ask("SELECT max(id) FROM measures") == [(highest + 1,)]


def test_progress_reaches_the_number_of_rows_that_was_said(old_home, sqlite_home):
    heard = []

    copy_base(old_home.engine, sqlite_home.engine, heard.append)

    assert sum(heard) == rows_to_copy(old_home.engine)


def test_a_copy_that_is_there_already_stays_as_it_is(old_home, sqlite_home):
    first = copy(old_home, sqlite_home)

    assert copy(old_home, sqlite_home) == first


def test_a_target_with_other_rows_is_refused(old_home, sqlite_home):
    copy(old_home, sqlite_home)
    tell(old_home.url, "UPDATE measures SET value = value + 1e-9 WHERE id = 41")

    with pytest.raises(UsageError, match="has other rows; give another place"):
        copy(old_home, sqlite_home)


def test_a_target_with_tables_of_something_else_is_refused(old_home, tmp_path):
    engine = sqlite_engine(tmp_path / "else.sqlite")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE recipes (id INTEGER)")

    with pytest.raises(UsageError, match=r"tables of something else \(recipes\)"):
        copy_base(old_home.engine, engine, lambda _: None)


def test_nothing_is_kept_when_what_arrived_is_not_what_left(old_home, sqlite_home):
    bring_up_to_date(sqlite_home.engine)
    sqlite_home.tell(
        "CREATE TRIGGER flip AFTER INSERT ON measures WHEN new.id = 41 "
        "BEGIN UPDATE measures SET value = 0.5 WHERE id = 41; END"
    )

    with pytest.raises(ResourceAwayError, match="what arrived in measures is not what left"):
        copy(old_home, sqlite_home)

    assert all_rows(sqlite_home, "measures") == []


def test_a_copy_that_breaks_off_leaves_nothing(old_home, sqlite_home, monkeypatch):
    monkeypatch.setattr(copying, "ROWS_AT_ONCE", 100)
    heard = []

    def break_off(rows):
        heard.append(rows)
        if sum(heard) > 500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_base(old_home.engine, sqlite_home.engine, break_off)

    assert all_rows(sqlite_home, "measures") + all_rows(sqlite_home, "sensors") == []
    assert copy(old_home, sqlite_home)["measures"].rows == 1000
