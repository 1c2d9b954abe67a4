"""A database as the old base of 2014 left it: its columns, and as many measures as asked for."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
from click.testing import Result

from tests.command import call

TABLES = """
CREATE TABLE measures_types (id SERIAL PRIMARY KEY, name VARCHAR(255) UNIQUE);
CREATE TABLE sensors (
    id SERIAL PRIMARY KEY, name VARCHAR(255) UNIQUE,
    type_id INTEGER NOT NULL REFERENCES measures_types (id) ON DELETE CASCADE,
    last_timer INTEGER, aes_key VARCHAR(255));
CREATE TABLE measures (
    id SERIAL PRIMARY KEY,
    sensor_id INTEGER NOT NULL REFERENCES sensors (id) ON DELETE CASCADE,
    value DOUBLE PRECISION, timestamp INTEGER, night_rate INTEGER);
CREATE TABLE providers (
    id SERIAL PRIMARY KEY, name VARCHAR(255) UNIQUE,
    type_id INTEGER NOT NULL REFERENCES measures_types (id) ON DELETE CASCADE,
    day_slope_watt_euros DOUBLE PRECISION, day_constant_watt_euros DOUBLE PRECISION,
    night_slope_watt_euros DOUBLE PRECISION, night_constant_watt_euros DOUBLE PRECISION,
    current INTEGER, threshold INTEGER);
CREATE TABLE users (
    id SERIAL PRIMARY KEY, login VARCHAR(255) UNIQUE, password TEXT, is_admin INTEGER,
    start_night_rate INTEGER, end_night_rate INTEGER);
"""
PLAIN_VARIANT = "CREATE INDEX ix_measures_timestamp ON measures (timestamp);"
OTHER_VARIANT = """
CREATE INDEX ix_measures_sensor_id_timestamp ON measures (sensor_id, timestamp);
ALTER TABLE sensors ADD COLUMN base_address VARCHAR(30);
CREATE TABLE counters (id SERIAL PRIMARY KEY);
"""
KEYS = {3: list(range(100, 116)), 7: list(range(16))}
START_TS, STEP_S = 1_415_000_000, 8
ROWS = f"""
INSERT INTO measures_types VALUES (4, 'Électricité');
INSERT INTO sensors VALUES
    (3, 'Chauffe-eau été', 4, 12, '{json.dumps(KEYS[3])}'),
    (7, 'CitizenWatt', 4, 2147483647, '{json.dumps(KEYS[7])}'),
    (9, 'Grenier "nord"', 4, NULL, NULL);
INSERT INTO providers VALUES
    (2, 'Tarif Bleu', 4, 0.1403, 7.9, 0.1403, 7.9, 0, 3000),
    (5, 'Heures creuses', 4, 0.1593, 9.1, 0.1111, 9.1, 1, 6000);
INSERT INTO users VALUES
    (1, 'invité', 'salt' || repeat('0f', 32), 0, NULL, NULL),
    (2, 'hélène', 'sel-' || repeat('a1', 32), 1, 80100, 20700);
INSERT INTO measures
    SELECT 41 + 2 * n, CASE WHEN mod(n, 2) = 0 THEN 7 ELSE 3 END, 200 + mod(n, 1999) * 0.25,
           {START_TS} + n / 2 * {STEP_S}, mod(n, 3) - 1
    FROM generate_series(0, %(measures)s - 4) n;
INSERT INTO measures (id, sensor_id, value, timestamp, night_rate) VALUES
    (1, 7, 5, NULL, 0), (2, 7, NULL, {START_TS}, NULL), (3, 3, 5, -5, 1);
SELECT setval('measures_id_seq', max(id) + 10), setval('sensors_id_seq', 9),
       setval('providers_id_seq', 5), setval('users_id_seq', 2) FROM measures;
"""
# every value of every row of the old tables, whatever the types of the columns
CHECKSUMS = """
SELECT (SELECT count(*) || ':' || sum(('x' || substr(md5(concat_ws('|', id, sensor_id, value,
                   coalesce(timestamp::text, '-'), coalesce(night_rate::text, '-'))), 1, 8)
               )::bit(32)::bigint)
        FROM measures),
       (SELECT string_agg(concat_ws('|', id, name, type_id, last_timer, aes_key), ';' ORDER BY id)
        FROM sensors),
       (SELECT string_agg(p::text, ';' ORDER BY id) FROM providers p),
       (SELECT string_agg(u::text, ';' ORDER BY id) FROM users u),
       (SELECT string_agg(t::text, ';' ORDER BY id) FROM measures_types t)
"""


def make_old_base(url: str, measures: int = 1000, variant: str = PLAIN_VARIANT) -> None:
    """Fill an empty PostgreSQL database; 3 of the measures lack a time, a value or sense."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(TABLES + variant)
        cursor.execute(ROWS, {"measures": measures})


def tell(url: str, statement: str) -> None:
    """Change the old base."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)


def ask(url: str, query: str) -> list[tuple[Any, ...]]:
    """Rows of it, as one of our programs asks: others must not be connected."""
    with closing(psycopg2.connect(url, application_name="cw-mqtt")) as connection:
        cursor = connection.cursor()
        cursor.execute(query)
        return cursor.fetchall()


def adopt(config: Path, *arguments: object, typed: str | None = None) -> Result:
    """`cw-mqtt --config CONFIG adopt ARGUMENTS`."""
    return call(config, "adopt", *arguments, typed=typed)


def checksums(url: str) -> tuple[object, ...]:
    """What the old tables hold, to compare."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(CHECKSUMS)
        return tuple(cursor.fetchone() or ())
