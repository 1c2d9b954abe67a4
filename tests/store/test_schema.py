import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from cw_mqtt.config.settings import DatabaseSettings
from cw_mqtt.errors import ResourceAwayError, UsageError
from cw_mqtt.model import Verdict
from cw_mqtt.store.engine import make_engine, transaction
from cw_mqtt.store.schema import bring_up_to_date, repair_sequences
from cw_mqtt.store.tables import metadata
from tests.home import reading
from tests.waiting import DEADLINE_S

# As the old base's SQLAlchemy made it: 32-bit columns, an index on timestamp alone.
OLD_BASE = """
CREATE TABLE measures_types (id SERIAL PRIMARY KEY, name VARCHAR(255) UNIQUE);
CREATE TABLE sensors (
    id SERIAL PRIMARY KEY, name VARCHAR(255) UNIQUE,
    type_id INTEGER NOT NULL REFERENCES measures_types (id) ON DELETE CASCADE,
    last_timer INTEGER, base_address VARCHAR(30), aes_key VARCHAR(255));
CREATE TABLE measures (
    id SERIAL PRIMARY KEY,
    sensor_id INTEGER NOT NULL REFERENCES sensors (id) ON DELETE CASCADE,
    value DOUBLE PRECISION, timestamp INTEGER, night_rate INTEGER);
CREATE INDEX ix_measures_timestamp ON measures (timestamp);
CREATE TABLE providers (
    id SERIAL PRIMARY KEY, name VARCHAR(255) UNIQUE,
    type_id INTEGER NOT NULL REFERENCES measures_types (id) ON DELETE CASCADE,
    day_slope_watt_euros DOUBLE PRECISION, day_constant_watt_euros DOUBLE PRECISION,
    night_slope_watt_euros DOUBLE PRECISION, night_constant_watt_euros DOUBLE PRECISION,
    current INTEGER);
CREATE TABLE users (
    id SERIAL PRIMARY KEY, login VARCHAR(255) UNIQUE, password TEXT, is_admin INTEGER,
    start_night_rate INTEGER, end_night_rate INTEGER);
CREATE TABLE counters (id SERIAL PRIMARY KEY);
INSERT INTO measures_types VALUES (4, 'Électricité');
INSERT INTO sensors VALUES
    (3, 'Chauffe-eau été', 4, 12, '0xE056D446D0', '[0, 1]'),
    (7, 'CitizenWatt', 4, 2147483647, NULL, NULL);
INSERT INTO measures VALUES
    (41, 7, 812.25, 1415000000, -1), (42, 3, 2000, 1415000004, 0), (44, 7, 815, 1415000008, 1),
    (45, 7, NULL, 1415000016, 0);
INSERT INTO providers VALUES (2, 'Tarif Bleu', 4, 0.1403, 80.9, 0.1403, 80.9, 1);
INSERT INTO users VALUES (1, 'hélène', 'salt0123', 1, 79200, 21600);
SELECT setval('measures_id_seq', 45), setval('sensors_id_seq', 7), setval('providers_id_seq', 2);
"""


@pytest.fixture
def old_home(postgres_home):
    postgres_home.tell(OLD_BASE)
    return postgres_home


def old_rows(home):
    columns = "id, sensor_id, value, timestamp, night_rate"
    return [home.ask(f"SELECT {columns} FROM measures ORDER BY id")] + [
        home.ask(f"SELECT id, {name} FROM {table} ORDER BY id")
        for table, name in [("sensors", "name"), ("users", "login"), ("providers", "current")]
    ]


def differences(home):
    """What Alembic would change to make the database what `tables.py` says."""
    with transaction(home.engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata)


def test_a_new_database_has_the_tables_that_the_program_uses(home):
    bring_up_to_date(home.engine)

    assert differences(home) == []


def test_an_up_to_date_database_is_left_as_it_is(home):
    home.hear(reading(1))
    home.store()

    bring_up_to_date(home.engine)

    assert home.stored() == [1]


def test_an_old_base_opened_in_place_keeps_every_row_and_id(old_home):
    before = old_rows(old_home)

    bring_up_to_date(old_home.engine)

    assert old_rows(old_home) == before
    assert inspect(old_home.engine).has_table("counters")
    assert old_home.ask("SELECT base_address, last_timer FROM sensors WHERE id = 3") == [
        ("0xE056D446D0", 12)
    ]


def test_an_old_base_gets_what_it_lacks(old_home):
    bring_up_to_date(old_home.engine)

    tables_changed = {change[0] for change in differences(old_home)}
    # the old base's own index, table and column, which stay
    assert tables_changed == {"remove_index", "remove_table", "remove_column"}


def test_an_old_base_takes_times_beyond_2038(old_home):
    bring_up_to_date(old_home.engine)

    old_home.tell("UPDATE measures SET timestamp = 253402300799 WHERE id = 41")
    old_home.tell("UPDATE sensors SET last_timer = 4294967295")

    assert old_home.ask("SELECT max(timestamp) FROM measures") == [(253402300799,)]


@pytest.mark.parametrize("table", ["measures", "set_aside"])
def test_rows_are_numbered_beyond_32_bits(home, table):
    home.hear(reading(1, verdict=Verdict.VERIFIED), reading(2, verdict=Verdict.SETTLING))
    home.store()
    home.tell(f"UPDATE {table} SET id = 2147483647")
    with transaction(home.engine) as connection:
        repair_sequences(connection)

    home.hear(reading(3, verdict=Verdict.VERIFIED), reading(4, verdict=Verdict.SETTLING))
    home.store()

    assert home.ask(f"SELECT max(id) FROM {table}") == [(2147483648,)]


def test_an_old_base_numbers_measures_beyond_32_bits(old_home):
    bring_up_to_date(old_home.engine)
    old_home.tell("SELECT setval('measures_id_seq', 2147483647)")

    old_home.tell("INSERT INTO measures (sensor_id, value, timestamp) VALUES (7, 1, 1)")

    assert old_home.ask("SELECT max(id) FROM measures") == [(2147483648,)]


def test_an_old_base_whose_ids_have_no_sequence_of_their_own_is_taken_over(old_home):
    old_home.tell("ALTER SEQUENCE measures_id_seq OWNED BY NONE")

    bring_up_to_date(old_home.engine)

    assert old_home.ask("SELECT max(id) FROM measures") == [(45,)]


def test_an_index_that_an_old_base_has_is_not_made_twice(old_home):
    old_home.tell("CREATE INDEX own ON measures (sensor_id, timestamp)")

    bring_up_to_date(old_home.engine)

    names = {index["name"] for index in inspect(old_home.engine).get_indexes("measures")}
    assert names == {"own", "ix_measures_timestamp"}


def test_an_adopted_sensor_goes_on_under_its_id(old_home):
    old_home.name_sensors({"boiler": "Chauffe-eau e\u0301te\u0301", "main": "CitizenWatt"})
    old_home.hear(reading(1, "boiler"), reading(2))

    old_home.store()

    new = old_home.ask("SELECT id, sensor_id FROM measures WHERE id > 45 ORDER BY id")
    assert new == [(46, 3), (47, 7)]
    energy = old_home.known["main"].energy
    assert (energy.total_j, energy.tariffs_j["night"]) == (8 * (812.25 + 815) / 2,) * 2
    assert (energy.last_ts, energy.last_power_w) == (1415000008, 815)


def test_programs_that_migrate_at_once_do_not_disturb_each_other(home):
    engines = [make_engine(DatabaseSettings(url=home.url), home.folder) for _ in range(3)]

    with ThreadPoolExecutor() as programs:
        ends = [programs.submit(bring_up_to_date, engine) for engine in engines]

    assert [end.exception() for end in ends] == [None, None, None]
    assert differences(home) == []


def test_the_database_of_a_newer_program_is_left_alone(home):
    home.store()
    home.tell("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(UsageError, match="newer cw-mqtt"):
        bring_up_to_date(home.engine)


def test_a_migration_that_fails_leaves_nothing_behind(home):
    in_the_way = "set_aside_sensor_id_timestamp"
    home.tell(f"CREATE TABLE {in_the_way} (id INTEGER)")

    with pytest.raises(ResourceAwayError, match=in_the_way):
        bring_up_to_date(home.engine)

    assert inspect(home.engine).get_table_names() == [in_the_way]


def test_a_start_without_migration_does_without_alembic(home):
    home.store()
    program = (
        "import sys; from pathlib import Path; from tests.home import Home\n"
        "home = Home(Path(sys.argv[1]), sys.argv[2] or None); home.store(); home.close()\n"
        "assert 'alembic' not in sys.modules"
    )
    home.journal.close()

    subprocess.run(
        [sys.executable, "-c", program, str(home.folder), home.url or ""],
        check=True,
        timeout=DEADLINE_S,
    )
