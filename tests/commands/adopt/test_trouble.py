"""`cw-mqtt adopt` refuses, is killed or broken off: nothing is lost, and it says what to do."""

import os
import pty
import termios

import psycopg2
import pytest

from cw_mqtt.config.load import load_settings
from cw_mqtt.config.settings import DatabaseSettings
from cw_mqtt.store.engine import make_engine
from cw_mqtt.store.schema import bring_up_to_date
from tests.command import call, press_ctrl_c, started
from tests.old_base import adopt, ask, checksums, make_old_base, tell
from tests.waiting import DEADLINE_S, wait_until

PASSWORD = "a#b: c"
WAITING = "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


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


def test_killed_before_the_settings_were_written_it_writes_them(config, url):
    bring_up_to_date(make_engine(DatabaseSettings(url=url), config.parent))

    result = adopt(config, "--database", url, "--yes")

    assert result.exit_code == 0
    assert load_settings(config).sensors[1].slug == "citizenwatt"


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
        said = "".join(process.communicate(timeout=DEADLINE_S))

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
