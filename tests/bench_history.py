"""How fast years of measures answer, through HTTP, beside reading every measure.

`make bench` measures one sensor's half year; `make bench-full` one and ten years of three.
python -m tests.bench_history sqlite|postgresql YEARS [SENSORS]
"""

import base64
import http.client
import math
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg2

from cw_mqtt.config.settings import DatabaseSettings
from cw_mqtt.store.engine import SQLITE_NAME, make_engine
from cw_mqtt.store.rollups import build
from tests.command import call
from tests.end_to_end.process import Bridge
from tests.packets import KEY
from tests.postgres import running_postgres
from tests.program import HOST
from tests.waiting import wait_until

PERIOD_S = 8
YEAR_S = 365 * 86400
MAX_GAP_S = 300
ASKED = 40
LOGIN = ("bench", "a long password")
PARIS = ZoneInfo("Europe/Paris")
HOUR_S, DAY_S, MONTH_S, WHOLE = 3600, 86400, 30 * 86400, 10**12

# a household of 200 to 800 W, its nights from 22:30 to 6:30 UTC
ROW = (
    "{sensor}, 500 + 300 * SIN(n / 700.0), {first_ts} + 8 * n, "
    "(({first_ts} + 8 * n + 5400) % 86400 < 28800)"
)
FILL = {
    "sqlite": "WITH RECURSIVE g(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM g WHERE n < {last}) "
    f"INSERT INTO measures (sensor_id, value, timestamp, night_rate) SELECT {ROW} FROM g",
    "postgresql": "INSERT INTO measures (sensor_id, value, timestamp, night_rate) "
    f"SELECT {ROW}::int FROM generate_series(0, {{last}}) AS n",
}


def say(what: str, figure: str) -> None:
    """One line of the result."""
    print(f"{what:62} {figure}", flush=True)  # noqa: T201 - it is what the bench is for


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str | None]:
    """The URL of an empty database of a kind; None is SQLite in the bridge's folder."""
    if kind == "sqlite":
        yield None
        return
    with running_postgres() as server:
        yield server.url


def connect(url: str | None, folder: Path) -> Any:
    """A plain connection to it."""
    if url:
        return psycopg2.connect(url)
    connection = sqlite3.connect(folder / "data" / SQLITE_NAME)
    connection.create_function("SIN", 1, math.sin)
    return connection


def fill(kind: str, url: str | None, folder: Path, years: float, sensors: int) -> int:
    """Years of measures up to now, with their sums; how many there are of each sensor."""
    count = int(years * YEAR_S / PERIOD_S)
    first_ts = int(time.time()) - count * PERIOD_S
    engine = make_engine(DatabaseSettings(url=url), folder / "data")
    with closing(connect(url, folder)) as connection:
        for sensor in range(1, sensors + 1):
            statement = FILL[kind].format(sensor=sensor, first_ts=first_ts, last=count - 1)
            connection.cursor().execute(statement)
        connection.cursor().execute("UPDATE rollup_marks SET built_ts = 0")
        connection.commit()
    if url:
        with closing(connect(url, folder)) as connection:
            connection.autocommit = True
            connection.cursor().execute("VACUUM ANALYZE measures")
    began_s = time.perf_counter()
    for _share in build(engine, MAX_GAP_S):
        pass
    rate = count * sensors / (time.perf_counter() - began_s)
    say("sums built from measures", f"{rate:,.0f} measures/s")
    tell_size(url, folder, count * sensors)
    engine.dispose()
    return count


def tell_size(url: str | None, folder: Path, count: int) -> None:
    """What a measure takes on disk, with the indexes and with its share of the sums."""
    if url:
        with closing(connect(url, folder)) as connection, connection.cursor() as cursor:
            sizes = "pg_total_relation_size('measures') + pg_total_relation_size('rollups')"
            cursor.execute(f"SELECT {sizes}")
            size = cursor.fetchone()[0]
    else:
        size = (folder / "data" / SQLITE_NAME).stat().st_size
    say("bytes a measure on disk, with its share of the sums", f"{size / count:.0f}")


def read_every_measure(url: str | None, folder: Path, from_ts: int, until_ts: int) -> float:
    """Seconds to add a sensor's energy up from every one of its measures."""
    query = (
        "SELECT timestamp, value FROM measures WHERE sensor_id = 1 "
        f"AND timestamp >= {from_ts} AND timestamp < {until_ts} ORDER BY timestamp, id"
    )
    began_s = time.perf_counter()
    joules, before_ts, before_w = 0.0, 0, 0.0
    with closing(connect(url, folder)) as connection:
        cursor = connection.cursor("each") if url else connection.cursor()
        cursor.execute(query)
        for ts, value_w in cursor:
            if 0 < ts - before_ts <= MAX_GAP_S:
                joules += (before_w + value_w) / 2 * (ts - before_ts)
            before_ts, before_w = ts, value_w
    assert joules > 0
    return time.perf_counter() - began_s


class Caller:
    """Calls of the API over one connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=600)
        login = base64.b64encode(":".join(LOGIN).encode()).decode()
        self._headers = {"Authorization": f"Basic {login}"}

    def get(self, path: str) -> bytes:
        """What a path answers."""
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return body

    def p95_ms(self, path: Callable[[int], str]) -> float:
        """The slowest but five in a hundred of many calls of a path, which `path` may vary."""
        taken = []
        for number in range(ASKED):
            began_s = time.perf_counter()
            self.get(path(number))
            taken.append((time.perf_counter() - began_s) * 1000)
        return sorted(taken)[math.ceil(0.95 * ASKED) - 1]

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def midnight_ts(days_ago: int) -> int:
    """When a day began in Paris."""
    today = datetime.now(PARIS).replace(hour=0, minute=0, second=0, microsecond=0)
    return int((today - timedelta(days=days_ago)).timestamp())


def views(years: float) -> dict[str, tuple[float, float, float]]:
    """What people look at: from, until, step."""
    now, today = time.time(), midnight_ts(0)
    begun = now - years * YEAR_S
    shown = {
        "now, 15 minutes by 8 s": (now - 900.123, now - 0.123, 8.0),
        "day by hour": (midnight_ts(1), today, HOUR_S),
        "week by day": (midnight_ts(7), today, DAY_S),
        "month by day": (midnight_ts(31), today, DAY_S),
        "kWh of all in one piece": (begun, now, WHOLE),
    }
    if years >= 1:
        shown["year by day"] = (midnight_ts(364), today, DAY_S)
        shown["kWh of a year in one piece"] = (midnight_ts(364), today, 10**9)
    if years >= 10:
        shown["ten years by month"] = (midnight_ts(3649), today, MONTH_S)
    return shown


def bench_history(kind: str, years: float, sensors: int) -> None:
    """All of it on one database."""
    say(f"--- {kind}, {years:g} years of {sensors} sensors, a measure each {PERIOD_S} s", "")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cw-mqtt-bench-")))
        url = stack.enter_context(database(kind, folder))
        bridge = make_bridge(folder, url, sensors)
        bridge.start()
        wait_until(lambda: bridge.works("database"))  # its tables are made
        bridge.stop()
        fill(kind, url, folder, years, sensors)
        bridge.start()
        stack.callback(bridge.stop)
        wait_until(lambda: bridge.works("database"))
        caller = stack.enter_context(closing(Caller(bridge.port)))
        caller.get("/api/sensors")
        before_mb = bridge.health()["rss_mb"]
        from_ts = max(time.time() - years * YEAR_S, midnight_ts(365))
        every_s = read_every_measure(url, folder, int(from_ts), midnight_ts(0))
        say("  baseline: reading every measure of a year, or of all", f"{every_s:.1f} s")
        ask(caller, years, every_s)
        grown_mb = bridge.health()["rss_mb"] - before_mb
        say("growth of the server's memory (aim: under 20 MB)", f"{grown_mb:.1f} MB")


def make_bridge(folder: Path, url: str | None, sensors: int) -> Bridge:
    """A bridge that hears nothing, with an account."""
    names = [{"slug": f"s{n}", "name": f"Sensor {n}", "key": KEY.hex()} for n in range(sensors)]
    settings = {"receivers": [{"name": "hall", "port": "fifo:/nowhere"}], "sensors": names}
    bridge = Bridge(folder, {**settings, **({"database": {"url": url}} if url else {})})
    login, password = LOGIN
    added = call(folder / "config.yaml", "user", "add", login, "--password", password)
    assert added.exit_code == 0, added.output
    return bridge


def ask(caller: Caller, years: float, every_s: float) -> None:
    """Time each view, and the insert of measures."""
    for name, (from_ts, until_ts, step) in views(years).items():
        path = f"/api/1/get/kwatthours/by_time/{from_ts}/{until_ts}"
        path += f"/{step}" if step < WHOLE else ""
        taken_ms = caller.p95_ms(lambda _, path=path: path)
        ratio = every_s * 1000 / taken_ms
        say(f"{name}, p95 (aim: under 50 ms)", f"{taken_ms:.1f} ms, 1/{ratio:,.0f}")
    now_ts = int(time.time())
    old_ts = now_ts - int(years * YEAR_S)
    new_ms = caller.p95_ms(lambda n: f"/api/1/insert/500/{now_ts + n}/0")
    old_ms = caller.p95_ms(lambda n: f"/api/1/insert/500/{old_ts + n * 997}/0")
    say("insert of a new measure, p95", f"{new_ms:.1f} ms")
    say("insert of an old measure, p95", f"{old_ms:.1f} ms")


def main() -> None:
    """Run one bench, as the module's first words say."""
    kind, years, *sensors = sys.argv[1:]
    bench_history(kind, float(years), int(*sensors or ["1"]))


if __name__ == "__main__":
    main()
