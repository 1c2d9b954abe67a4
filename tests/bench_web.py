"""The web in `make bench`: how many calls a second, beside CherryPy answering a constant."""

import base64
import http.client
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from cw_mqtt.records import Role
from cw_mqtt.store.engine import SQLITE_NAME, sqlite_engine
from cw_mqtt.store.schema import bring_up_to_date
from cw_mqtt.store.users import Accounts
from cw_mqtt.web.passwords import hash_password
from tests.end_to_end.process import Bridge
from tests.figures import percentile, say
from tests.program import HOST, Program, free_port
from tests.waiting import wait_until

CALLS = 1200
CLIENTS = 8
ROUNDS = 5
START_TS, MEASURES, PERIOD_S = 1_790_000_000, 200_000, 8
NEWEST_TS = START_TS + MEASURES * PERIOD_S
LOGIN = ("bench", "a long password")

CASES = {
    "newest measure (aim: 0.6)": lambda n: "/api/1/get/watts/by_id/-1",
    "ten minutes (aim: 0.6)": lambda n: f"/api/1/get/watts/by_time/{NEWEST_TS - 600}/{NEWEST_TS}",
    "insert, durable (aim: 0.4)": lambda n: f"/api/1/insert/512.5/{START_TS - 8 * n}/0",
    "/health": lambda n: "/health",
}
HEADERS = {"Authorization": "Basic " + base64.b64encode(":".join(LOGIN).encode()).decode()}


def bench_web() -> None:
    """Calls with Basic over kept connections, on SQLite with 200,000 measures."""
    with tempfile.TemporaryDirectory(prefix="cw-mqtt-bench-") as name:
        folder = Path(name)
        fill(folder / "data")
        bridge = Bridge(folder, {"receivers": [{"name": "hall", "port": "simulated:"}]})
        port = free_port()
        command = [sys.executable, Path(__file__).with_name("constant_server.py"), str(port)]
        (folder / "constant").mkdir()
        constant = Program(command, folder / "constant", port)
        bridge.start()
        constant.start()
        try:
            wait_until(lambda: bridge.works("database"))
            for clients in (1, CLIENTS):
                compare(bridge.port, port, clients)
        finally:
            bridge.stop()
            constant.stop()


def compare(port: int, constant_port: int, clients: int) -> None:
    """One line for each kind of call: the median of some rounds, each beside the baseline's."""
    baselines: list[float] = []
    found: dict[str, list[tuple[float, float, list[float]]]] = {what: [] for what in CASES}
    for number in range(ROUNDS):
        baseline, _ = measure(constant_port, clients, lambda n: "/")
        baselines.append(baseline)
        begin = (number * 10 + clients) * CALLS
        for what, path in CASES.items():
            rate, times = measure(port, clients, lambda n, p=path, b=begin: p(b + n))
            found[what].append((rate / baseline, rate, times))
    name = f"{clients} client{'s' * (clients > 1)}"
    say(f"web, {name}: CherryPy answering a constant", f"{statistics.median(baselines):,.0f}/s")
    for what, rounds in found.items():
        ratio, rate, times = sorted(rounds)[len(rounds) // 2]
        p99_ms = percentile(times, 99) * 1000
        say(f"  {what}", f"{ratio:.2f}  ({rate:,.0f}/s, p99 {p99_ms:.1f} ms)")


def measure(port: int, clients: int, path: Callable[[int], str]) -> tuple[float, list[float]]:
    """Calls a second, and how long each took."""
    each = CALLS // clients

    def client(number: int) -> list[float]:
        times = []
        with closing(http.client.HTTPConnection(HOST, port, timeout=30)) as connection:
            for n in range(number * each, (number + 1) * each):
                began_s = time.perf_counter()
                connection.request("GET", path(n), headers=HEADERS)
                response = connection.getresponse()
                response.read()
                assert response.status == 200, response.status
                times.append(time.perf_counter() - began_s)
        return times

    began_s = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        times = [s for taken in pool.map(client, range(clients)) for s in taken]
    return len(times) / (time.perf_counter() - began_s), times


def fill(folder: Path) -> None:
    """A database with a user, and a sensor's measures."""
    folder.mkdir()
    engine = sqlite_engine(folder / SQLITE_NAME)
    bring_up_to_date(engine)
    Accounts(engine).add(LOGIN[0], hash_password(LOGIN[1]), Role.WRITE)
    engine.dispose()
    with closing(sqlite3.connect(folder / SQLITE_NAME)) as connection, connection:
        connection.execute("INSERT INTO measures_types VALUES (1, 'Électricité')")
        connection.execute("INSERT INTO sensors (id, name, type_id) VALUES (1, 'CitizenWatt', 1)")
        connection.executemany(
            "INSERT INTO measures (sensor_id, value, timestamp, night_rate) VALUES (1, ?, ?, 0)",
            ((500.0 + n % 500, START_TS + n * PERIOD_S) for n in range(MEASURES)),
        )
