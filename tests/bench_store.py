"""What many sensors in a batch cost the database, beside one sensor with as many readings."""

import tempfile
import time
from pathlib import Path

from cw_mqtt.config.settings import DatabaseSettings
from cw_mqtt.journal.rows import Entry
from cw_mqtt.model import Reading, Verdict
from cw_mqtt.store.engine import make_engine, transaction
from cw_mqtt.store.schema import bring_up_to_date
from cw_mqtt.store.sensors import add_entries, link_sensors
from tests.figures import cpu_s, say
from tests.home import MAX_GAP_S, START_TS
from tests.postgres import running_postgres

SENSORS = 500
BATCH = 500
BATCHES = 120  # of 500 sensors: a quarter hour and its end
PERIOD_S = 8


def bench_store() -> None:
    """Rows a second of CPU time, the PostgreSQL server's own included."""
    for kind in ("SQLite", "PostgreSQL"):
        one, many = (rows_a_cpu_second(kind, sensors) for sensors in (1, SENSORS))
        say(f"rows a CPU second, {SENSORS} sensors in a batch, {kind}", f"{many:,.0f}")
        say("  baseline: one sensor", f"{one:,.0f}")
        say("  ratio (aim: over 0.33)", f"{many / one:.2f}")


def rows_a_cpu_second(kind: str, sensors: int) -> float:
    """How many rows are written in a second of work on a new database of this kind."""
    if kind == "SQLite":
        return measured(None, sensors)
    with running_postgres() as server:
        return measured(server.url, sensors)


def measured(url: str | None, sensors: int) -> float:
    """The same for one database, which is empty."""
    with tempfile.TemporaryDirectory(prefix="cw-mqtt-bench-") as folder:
        engine = make_engine(DatabaseSettings(url=url), Path(folder))
        bring_up_to_date(engine)
        with transaction(engine) as connection:
            ids = link_sensors(connection, {f"s{n}": f"Sensor {n}" for n in range(sensors)})
        readings = [
            Entry(n, heard(n % sensors, START_TS + n // sensors * PERIOD_S))
            for n in range(BATCH * BATCHES)
        ]
        with transaction(engine) as connection:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar() if url else None
        began_s = time.process_time() + (cpu_s(pid) if pid else 0)
        for first in range(0, len(readings), BATCH):
            with transaction(engine) as connection:
                add_entries(connection, readings[first : first + BATCH], ids, MAX_GAP_S)
        taken_s = time.process_time() + (cpu_s(pid) if pid else 0) - began_s
        engine.dispose()
    return len(readings) / taken_s


def heard(number: int, ts: int) -> Reading:
    """A sensor's reading."""
    return Reading(f"s{number}", ts, 500.0 + ts % 7, 240, 3300, Verdict.VERIFIED)
