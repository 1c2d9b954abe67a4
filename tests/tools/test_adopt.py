"""`cw-mqtt adopt` as its users meet it, on a real PostgreSQL."""

import json
import os
import pty
import re
import termios
import time
from pathlib import Path

import psycopg2
import pytest

from cw_mqtt.config.load import load_settings
from cw_mqtt.config.settings import DatabaseSettings
from cw_mqtt.store.engine import make_engine
from cw_mqtt.store.schema import bring_up_to_date
from tests.command import call, press_ctrl_c, started
from tests.old_base import OTHER_VARIANT, PLAIN_VARIANT, checksums, make_old_base, tell
from tests.waiting import wait_until

MILLION = 1_000_000
WITHIN_S = 20
PASSWORD = "a#b: c"
WAITING = "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
COLUMNS = (
    "SELECT table_name, column_name, data_type FROM information_schema.columns "
    "WHERE table_schema = 'public' ORDER BY 1, 2"
)
DOCUMENTATION = (Path(__file__).parents[2] / "docs" / "adopt.md").read_text()


@pytest.fixture
def url(postgres_url):
    make_old_base(postgres_url)
    return postgres_url


@pytest.fixture
def config(tmp_path):
    return tmp_path / "config.yaml"


def ask(url, query):
    """Rows of the base, as one of our programs: others must not be connected."""
    connection = psycopg2.connect(url, application_name="cw-mqtt")
    try:
        cursor = connection.cursor()
        cursor.execute(query)
        return cursor.fetchall()
    finally:
        connection.close()


def adopt(config, *arguments, typed=None):
    return call(config, "adopt", *arguments, typed=typed)


@pytest.mark.parametrize("variant", [PLAIN_VARIANT, OTHER_VARIANT])
def test_a_million_measures_are_adopted_in_place_as_they_are(config, postgres_url, variant):
    make_old_base(postgres_url, MILLION, variant)
    before = checksums(postgres_url)
    begun_s = time.monotonic()

    result = adopt(config, "--database", postgres_url, "--yes")

    assert result.exit_code == 0, result.stderr
    assert time.monotonic() - begun_s < WITHIN_S
    assert "Done: 1,000,000 measures before, 1,000,000 after." in result.stdout
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


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ("DROP SCHEMA public CASCADE; CREATE SCHEMA public", "is empty, and not an old base"),
        ("DROP TABLE users", "not an old base: it has no table users"),
        ("ALTER TABLE sensors DROP COLUMN type_id", "its table sensors has no type_id"),
        ("ALTER TABLE measures ALTER timestamp TYPE float", "not whole seconds"),
        ("CREATE TABLE alembic_version AS SELECT '9999' AS version_num", "a newer cw-mqtt"),
    ],
)
def test_what_is_no_old_base_is_refused(config, url, spoilt, said):
    tell(url, spoilt)

    result = adopt(config, "--database", url, "--yes")

    assert result.exit_code == 2
    assert said in result.stderr
    assert not config.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "where is the old base?"),
        (["--database", "nowhere.sqlite"], 2, "no such file"),
        (["--database", "mysql://u:secret@h/d"], 2, "expected postgresql://user@host/database"),
        (["--database", "postgresql://u:secret@127.0.0.1:1/d"], 1, "127.0.0.1:1/d"),
        (["--old-config", "missing.json"], 2, "cannot be read"),
    ],
)
def test_a_base_that_cannot_be_reached_is_named_without_its_password(config, arguments, code, said):
    result = adopt(config, *arguments, "--yes")

    assert result.exit_code == code
    assert said in result.stderr
    assert "secret" not in result.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ('{"port": "secret", "database": "x"}', "port"),
        ('{"database": "x", "database_type": "mysql"}', "only PostgreSQL"),
        ("{}", "where is the old base?"),
    ],
)
def test_old_settings_that_are_wrong_are_named_and_not_shown(config, tmp_path, text, said):
    old = tmp_path / "old.json"
    old.write_text(text)

    result = adopt(config, "--old-config", old)

    assert result.exit_code == 2
    assert said in result.stderr
    assert "secret" not in result.output


def test_a_base_that_is_still_running_is_refused(config, url):
    running = psycopg2.connect(url, application_name="old base")

    result = adopt(config, "--database", url, "--yes")

    running.close()
    assert result.exit_code == 2
    assert "is in use by postgres with old base; stop the old base" in result.stderr
    assert ask(url, "SELECT to_regclass('alembic_version')") == [(None,)]


def test_a_user_who_may_not_change_the_tables_is_told_so(config, url, shared_postgres):
    shared_postgres.execute("DROP ROLE IF EXISTS guest")
    shared_postgres.execute("CREATE ROLE guest LOGIN")
    tell(url, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest")

    result = adopt(config, "--database", url.replace("postgres@", "guest@"), "--yes")

    assert result.exit_code == 2
    assert "the user guest may not change tables of others: measures (postgres)" in result.stderr


def test_an_existing_pair_of_settings_is_said_before_anything_is_done(config, url):
    config.touch()
    config.with_name("config.adopted.yaml").touch()

    result = adopt(config, "--database", url, "--yes")

    assert result.exit_code == 2
    assert "exist already; move one of them away" in result.stderr
    assert ask(url, "SELECT to_regclass('alembic_version')") == [(None,)]


@pytest.mark.parametrize("frozen", ["sensors", "measures"])
def test_killed_while_it_changes_a_table_it_has_changed_nothing(config, url, frozen):
    before = checksums(url)
    holder = psycopg2.connect(url, application_name="cw-mqtt")
    holder.cursor().execute(f"LOCK TABLE {frozen} IN ACCESS SHARE MODE")

    with started(config, "adopt", "--database", url, "--yes") as process:
        wait_until(lambda: ask(url, WAITING))
        process.kill()
    holder.close()

    result = adopt(config, "--database", url, "--yes")
    assert result.exit_code == 0, result.stderr
    assert checksums(url) == before
    assert call(config, "check-config").exit_code == 0


def test_ctrl_c_breaks_the_change_off_and_nothing_is_changed(config, url):
    holder = psycopg2.connect(url, application_name="cw-mqtt")
    holder.cursor().execute("LOCK TABLE measures IN ACCESS SHARE MODE")

    with started(config, "adopt", "--database", url, "--yes") as process:
        wait_until(lambda: ask(url, WAITING))
        code, said = press_ctrl_c(process)
    holder.close()

    assert (code, said.splitlines()[-1]) == (1, "Aborted!")
    assert ask(url, "SELECT to_regclass('alembic_version')") == [(None,)]


def test_the_way_back_in_the_documentation_leaves_the_old_base(config, url):
    (way_back,) = re.findall("^```sql\n(.*?)^```", DOCUMENTATION, re.MULTILINE | re.DOTALL)
    before = checksums(url), ask(url, COLUMNS)
    adopt(config, "--database", url, "--yes")

    tell(url, way_back)

    assert (checksums(url), ask(url, COLUMNS)) == before
    assert adopt(config, "--database", url, "--yes").exit_code == 0


def test_killed_before_the_settings_were_written_it_writes_them(config, url):
    bring_up_to_date(make_engine(DatabaseSettings(url=url), config.parent))

    result = adopt(config, "--database", url, "--yes")

    assert result.exit_code == 0
    assert load_settings(config).sensors[1].slug == "citizenwatt"


def test_a_copy_in_sqlite_comes_with_its_settings(config, url):
    target = config.parent / "store" / "citizenwatt.sqlite"

    result = adopt(config, "--database", url, "--to", target, "--yes")
    again = adopt(config, "--database", url, "--to", target, "--yes")

    assert result.exit_code == again.exit_code == 0
    assert "measures: 1,000 rows, checksum" in result.stdout
    assert "on both sides" in again.stdout
    settings = load_settings(config)
    assert (settings.database.url, settings.data_dir) == (None, target.parent)
    assert ask(url, "SELECT to_regclass('alembic_version')") == [(None,)]


def test_a_copy_killed_in_the_middle_is_made_anew(config, url, tmp_path):
    tell(
        url,
        "INSERT INTO measures (sensor_id, value, timestamp) SELECT 7, n, n "
        "FROM generate_series(1500000000, 1500100000) n",
    )
    target = tmp_path / "data" / "citizenwatt.sqlite"
    written = target.with_name("citizenwatt.sqlite-wal")
    arguments = ("adopt", "--database", url, "--to", target, "--yes")

    with started(config, *arguments) as process:
        wait_until(lambda: written.exists() and written.stat().st_size > 1_000_000)
        process.kill()
    assert not config.exists()
    result = call(config, *arguments)

    assert result.exit_code == 0, result.stderr
    assert "measures: 101,001 rows" in result.stdout


def test_a_sqlite_file_of_another_name_is_refused(config, url):
    result = adopt(config, "--database", url, "--to", "elsewhere.sqlite", "--yes")

    assert result.exit_code == 2
    assert "expected a path such as data/citizenwatt.sqlite" in result.stderr


@pytest.fixture
def guarded_url(postgres_server):
    """An old base whose server lets its owner in with a password, and `postgres` without."""
    postgres_server.execute(f"CREATE ROLE odd LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
    make_old_base(postgres_server.url)
    rules = "('host all odd all scram-sha-256'), ('host all all all trust')"
    postgres_server.execute(f"COPY (VALUES {rules}) TO PROGRAM 'cat > pg_hba.conf'")
    postgres_server.execute("SELECT pg_reload_conf()")
    return postgres_server.url.replace("postgres@", "odd@")


def type_password(terminal):
    """Wait for the question, and answer it; what is typed before is thrown away."""
    wait_until(lambda: not termios.tcgetattr(terminal)[3] & termios.ECHO)
    os.write(terminal, f"{PASSWORD}\n".encode())


def test_a_password_is_asked_for_and_not_shown(config, guarded_url):
    keyboard, terminal = pty.openpty()

    with started(config, "adopt", "--database", guarded_url, "--yes", stdin=terminal) as process:
        type_password(keyboard)
        said = "".join(process.communicate(timeout=WITHIN_S))

    assert process.returncode == 0, said
    assert PASSWORD not in said + config.read_text()
    assert load_settings(config).database.password.get_secret_value() == PASSWORD
    os.close(keyboard)
    os.close(terminal)


def test_a_password_may_come_from_the_environment(config, guarded_url, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)

    result = adopt(config, "--database", guarded_url, "--yes")

    assert result.exit_code == 0, result.stderr
    assert load_settings(config).database.password.get_secret_value() == PASSWORD


def test_a_wrong_password_is_said_with_what_to_do(config, guarded_url):
    wrong = guarded_url.replace("odd@", "odd:mistyped@")

    result = adopt(config, "--database", wrong, "--yes")

    assert result.exit_code == 1
    assert "password authentication failed" in result.stderr
    assert "mistyped" not in result.output
