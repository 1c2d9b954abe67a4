"""Under attack from the network: packets are stored, `/health` answers, nothing grows or fails."""

import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cw_mqtt.acquire.simulated import all_packets, running_sensor
from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.model import SILENCE_S
from cw_mqtt.records import Role
from cw_mqtt.store.engine import SQLITE_NAME, sqlite_engine
from cw_mqtt.store.schema import bring_up_to_date
from cw_mqtt.store.users import Accounts
from cw_mqtt.web.passwords import hash_password
from tests.end_to_end.attacks import (
    ATTACKS,
    BASIC,
    MEASURES,
    PERIOD_S,
    READER,
    START_TS,
    Callers,
    guesses,
    request,
)
from tests.end_to_end.process import Board, Bridge
from tests.figures import percentile
from tests.settings import SENSOR
from tests.waiting import wait_until

MOST_MORE_MB = 22  # a password's check takes 7 for a moment
MOST_LOG_LINES = 40
HONEST = 90  # an address from which nobody guesses


class Attacked:
    """A bridge with measures of half a week, a user, and a sensor that sends when it is told."""

    def __init__(self, folder: Path) -> None:
        fill(folder / "data")
        self.health_s: list[float] = []
        self.packet_s: list[float] = []
        self._board = Board()
        sensor = SensorSettings.model_validate(SENSOR)
        self._packets = all_packets([running_sensor(sensor, 0.0)], time.time())
        self.bridge = Bridge(folder, {"receivers": [{"name": "hall", "port": self._board.port}]})
        self.bridge.start()
        wait_until(lambda: self.bridge.works("receiver hall", "bridge", "database"))
        self._send()
        self.send_packet()  # with the second one the first is believed too
        self.before_mb = self.memory_mb("VmRSS")

    def close(self) -> None:
        self.bridge.stop()
        self._board.close()

    def send_packet(self) -> None:
        """Let the sensor send, and wait until the reading is on the disk."""
        before, began_s = self._stored(), time.monotonic()
        self._send()
        wait_until(lambda: self._stored() > before)
        self.packet_s.append(time.monotonic() - began_s)

    def memory_mb(self, what: str) -> float:
        """A figure of the kernel, as proc(5) names it."""
        status = Path(f"/proc/{self.bridge.pid}/status").read_text()
        return int(status.partition(f"{what}:")[2].split()[0]) / 1024

    def told(self) -> str:
        """What this machine took, for people."""
        return (
            f"/health p99 {percentile(self.health_s, 99) * 1000:.0f} ms, "
            f"packets stored within {max(self.packet_s):.2f} s, "
            f"{self.before_mb:.0f} MB before, {self.memory_mb('VmHWM'):.0f} MB at most"
        )

    def _send(self) -> None:
        time.sleep(2 * SILENCE_S)  # what tells packets apart
        self._board.send(next(self._packets)[1])

    def _stored(self) -> int:
        began_s = time.monotonic()
        report = self.bridge.health()
        self.health_s.append(time.monotonic() - began_s)
        assert report["status"] == "ok", report
        stored: int = report["database"]["position"] + report["journal"]["unstored"]
        return stored


def fill(folder: Path) -> None:
    """A database with a user, and a sensor's measures."""
    folder.mkdir()
    engine = sqlite_engine(folder / SQLITE_NAME)
    bring_up_to_date(engine)
    Accounts(engine).add(READER[0], hash_password(READER[1]), Role.READ)
    engine.dispose()
    with closing(sqlite3.connect(folder / SQLITE_NAME)) as connection, connection:
        connection.execute("INSERT INTO measures_types VALUES (1, 'Électricité')")
        connection.execute("INSERT INTO sensors (id, name, type_id) VALUES (1, 'CitizenWatt', 1)")
        connection.executemany(
            "INSERT INTO measures (sensor_id, value, timestamp, night_rate) VALUES (1, ?, ?, 0)",
            ((500.0 + n % 500, START_TS + n * PERIOD_S) for n in range(MEASURES)),
        )


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    attacked = Attacked(tmp_path_factory.mktemp("attacked"))
    yield attacked
    attacked.close()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_attack_delays_no_packet_and_costs_little(
    attacked: Attacked, attack: Callable[[Callers], Iterator[None]]
) -> None:
    callers = Callers(attacked.bridge.port)

    for _ in attack(callers):
        attacked.send_packet()
    attacked.send_packet()

    print(attack.__name__, callers.answered, "answers;", attacked.told())  # noqa: T201 - with -s
    log = attacked.bridge.log_file.read_text()
    assert callers.faults == []
    assert "Traceback" not in log
    assert log.count("\n") < MOST_LOG_LINES
    assert attacked.memory_mb("VmHWM") < attacked.before_mb + MOST_MORE_MB


def test_amid_wrong_passwords_the_right_one_is_let_in(attacked: Attacked) -> None:
    callers = Callers(attacked.bridge.port)
    newest = request("GET /api/1/get/watts/by_id/-1", f"Authorization: {BASIC}")

    for _ in guesses(callers):
        honest = callers.call(newest, HONEST, is_all=False)
        assert honest.recv(len("HTTP/1.1 200")) == b"HTTP/1.1 200"
        honest.shutdown(socket.SHUT_WR)
