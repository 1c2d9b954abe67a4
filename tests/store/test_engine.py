import gc
import math
import sqlite3
import weakref
from contextlib import closing

import psycopg2
import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, literal, select, text

from cw_mqtt.config.settings import DatabaseSettings
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.store import postgres
from cw_mqtt.store.engine import (
    DATABASE_PAGE_BYTES,
    make_engine,
    patient,
    quickly,
    tell_mode,
    transaction,
)

ODD_PASSWORD = "a#b@c,d:e/f g%41"


def use(engine):
    try:
        with transaction(engine) as connection:
            return connection.execute(text("SELECT 1")).scalar()
    finally:
        engine.dispose()


def run(engine, *statements):
    """Run statements in one transaction; what the last one gives."""
    with transaction(engine) as connection:
        return [connection.execute(text(statement)) for statement in statements][-1]


def settings_of(url):
    return DatabaseSettings(url=url, password=SecretStr(ODD_PASSWORD))


def test_databases_that_were_closed_long_ago_stay_in_no_memory():
    dialects = []
    for _ in range(100):  # as many reloads
        with create_engine("sqlite://").connect() as connection:
            assert quickly(connection, select(literal(1)), {}) == [(1,)]
            dialects.append(weakref.ref(connection.dialect))
    del connection

    gc.collect()

    assert sum(dialect() is not None for dialect in dialects) <= 64


def test_without_a_url_the_database_is_a_file_in_the_folder(tmp_path):
    engine = make_engine(DatabaseSettings(), tmp_path)

    assert use(engine) == 1
    assert (tmp_path / "citizenwatt.sqlite").exists()


def test_a_file_system_on_which_sqlite_cannot_do_all_is_told(tmp_path, caplog):
    path = tmp_path / "x.sqlite"
    # it locks by files beside, as where the file system has no locks
    limited = sqlite3.connect(f"file:{path}?vfs=unix-dotfile", uri=True)

    tell_mode(limited, path)

    assert "SQLite can only use the journal mode delete here" in caplog.text
    limited.close()


def test_sqlite_survives_power_cuts_and_checks_references(tmp_path):
    engine = make_engine(DatabaseSettings(), tmp_path)

    with transaction(engine) as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in pragmas]

    assert found == ["wal", 2, 1, 5000]
    engine.dispose()


def test_a_new_file_has_small_pages(tmp_path):
    engine = make_engine(DatabaseSettings(), tmp_path)

    with transaction(engine) as connection:
        connection.execute(text("CREATE TABLE anything (id INTEGER)"))
        size = connection.execute(text("PRAGMA page_size")).scalar()

    assert size == DATABASE_PAGE_BYTES


def test_a_password_may_hold_any_character(tmp_path, postgres_server):
    postgres_server.execute(f"CREATE ROLE odd LOGIN PASSWORD '{ODD_PASSWORD}'")
    postgres_server.execute(
        "COPY (SELECT 'host all all all scram-sha-256') TO PROGRAM 'cat > pg_hba.conf'"
    )
    postgres_server.execute("SELECT pg_reload_conf()")
    url = postgres_server.url.replace("postgres@", "odd@")

    assert use(make_engine(settings_of(url), tmp_path)) == 1


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_both_ways_to_write_postgres_mean_the_same(tmp_path, postgres_url, scheme):
    url = postgres_url.replace("postgresql", scheme)

    assert use(make_engine(settings_of(url), tmp_path)) == 1


def test_a_server_that_is_away_is_named_without_the_password(tmp_path):
    engine = make_engine(settings_of("postgresql://me@127.0.0.1:1/mine"), tmp_path)

    with pytest.raises(ResourceAwayError, match=r"127\.0\.0\.1:1/mine: .*refused") as error:
        use(engine)

    assert ODD_PASSWORD not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_database_is_answered_with_what_to_do(tmp_path, postgres_url):
    engine = make_engine(settings_of(postgres_url + "_of_yesterday"), tmp_path)

    with pytest.raises(ResourceAwayError, match="does not exist; create it"):
        use(engine)


def test_a_missing_folder_is_answered_with_what_to_do(tmp_path):
    engine = make_engine(DatabaseSettings(), tmp_path / "nowhere")

    with pytest.raises(ResourceAwayError, match="check that data_dir exists"):
        use(engine)


def test_a_frozen_server_ends_no_wait_and_is_used_again_when_it_moves(
    tmp_path, postgres_server, monkeypatch
):
    engine = make_engine(settings_of(postgres_server.url), tmp_path)
    assert use(engine) == 1

    monkeypatch.setattr(postgres, "POSTGRES_WITHIN_S", 0.1)
    monkeypatch.setattr(postgres, "CONNECT_WITHIN_S", 0.2)
    with (
        postgres_server.frozen(),
        pytest.raises(ResourceAwayError, match=r"no answer for .* s; the server is frozen"),
    ):
        use(engine)
    monkeypatch.undo()

    assert use(engine) == 1


@pytest.mark.parametrize(
    ("setting", "statement", "said"),
    [
        ("statement_timeout", "SELECT pg_sleep(60)", "server took too long"),
        ("lock_timeout", "LOCK TABLE held", "another program locks the tables"),
    ],
)
def test_no_statement_takes_for_ever(tmp_path, postgres_url, setting, statement, said):
    engine = make_engine(settings_of(postgres_url), tmp_path)
    with closing(psycopg2.connect(postgres_url)) as other:
        other.cursor().execute("CREATE TABLE held (); COMMIT; BEGIN; LOCK TABLE held")

        with pytest.raises(ResourceAwayError, match=said):
            run(engine, f"SET LOCAL {setting} = '50ms'", statement)

    engine.dispose()


def test_only_a_patient_transaction_has_all_the_time(tmp_path, postgres_url):
    engine = make_engine(settings_of(postgres_url), tmp_path)
    found = []

    for each in (patient(engine), engine):
        with transaction(each) as connection:
            limit = connection.execute(text("SHOW statement_timeout")).scalar()
            found.append((limit, connection.connection.dbapi_connection.answer_within_s))

    assert found == [("0", math.inf), ("20s", postgres.POSTGRES_WITHIN_S)]
    engine.dispose()


@pytest.mark.parametrize("intact", [0, 100])
def test_a_damaged_file_is_answered_with_what_to_do(tmp_path, intact):
    engine = make_engine(DatabaseSettings(), tmp_path)
    run(engine, "CREATE TABLE held (a)")
    engine.dispose()
    file = tmp_path / "citizenwatt.sqlite"
    file.write_bytes(file.read_bytes()[:intact] + b"\xff" * 8000)

    with pytest.raises(ResourceAwayError, match="cw-mqtt restore"):
        run(engine, "SELECT * FROM held")


def test_a_full_disk_is_answered_with_what_to_do(tmp_path):
    engine = make_engine(DatabaseSettings(), tmp_path)

    tables = [f"CREATE TABLE {name} (a)" for name in ("one", "another")]
    with pytest.raises(ResourceAwayError, match="free space on the disk of data_dir"):
        run(engine, "PRAGMA max_page_count = 2", *tables)

    engine.dispose()
