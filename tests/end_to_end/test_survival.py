"""What was published is in the database, whatever is killed or taken away in between."""

import random
import struct
import threading
import time
from contextlib import closing
from itertools import pairwise

import pytest
from Crypto.Cipher import AES

from tests.amounts import amount
from tests.end_to_end.process import SQLITE_ONLY, Board, Subscriber, rows
from tests.packets import KEY
from tests.waiting import wait_until

PERIOD_S = 0.05
KILLS = {"sqlite": amount(5, torture=200), "postgresql": amount(3, torture=100)}


class Sensor(threading.Thread):
    """Sends to a board, twenty times a second; the power of packet n is n W.

    Its timer runs with the wall clock, so that it never seems to have come too far.
    """

    def __init__(self, board: Board) -> None:
        super().__init__(daemon=True)
        self.board = board
        self.sent = 0
        self.stopping = threading.Event()

    def run(self):
        encrypt, tail, began_s = AES.new(KEY, AES.MODE_ECB).encrypt, b"before", time.monotonic()
        while not self.stopping.wait(PERIOD_S):
            timer_ms = 1_000_000 + int((time.monotonic() - began_s) * 1000)
            self.sent += 1
            payload = encrypt(struct.pack("<HHHI6s", self.sent, 240, 3300, timer_ms, tail))
            tail = payload[-6:]
            self.board.send(payload)


@pytest.fixture
def sensor(board):
    sensor = Sensor(board)
    sensor.start()
    yield sensor
    sensor.stopping.set()
    sensor.join()


def total_j(measures):
    return sum((a + b) / 2 * (t1 - t0) for (t0, a), (t1, b) in pairwise(measures))


def test_what_was_published_is_stored_once_however_often_it_is_killed(
    tmp_path, bridge, sensor, broker, database_url
):
    running = bridge()
    kills = KILLS["postgresql" if database_url else "sqlite"]
    with closing(Subscriber(broker.host, broker.port, "citizenwatt/main/+")) as subscriber:
        for number in range(kills):
            running.start()
            before = sensor.sent
            wait_until(lambda: subscriber.newest_w() > before + 1)  # noqa: B023 - used at once
            time.sleep(random.Random(number).uniform(0, 0.3))
            running.kill()
        running.start()
        wait_until(lambda: running.works("database", "mqtt"))
        running.stop()
        published_w = {float(text) for text in subscriber.payloads("citizenwatt/main/power")}
        totals_kwh = [float(text) for text in subscriber.payloads("citizenwatt/main/energy")]

    measures = rows(tmp_path, database_url, "timestamp, value")
    stored_w = [power_w for _, power_w in measures]
    assert len(published_w) > kills
    assert published_w <= set(stored_w)
    assert len(stored_w) == len(set(stored_w))
    assert totals_kwh == sorted(totals_kwh)
    assert totals_kwh[-1] == pytest.approx(total_j(measures) / 3_600_000, abs=0.001)


@SQLITE_ONLY
def test_a_broker_that_stops_and_comes_back_has_the_present_values(
    bridge, sensor, broker, database_url
):
    running = bridge()
    running.start()
    wait_until(lambda: running.works("receiver hall", "bridge", "mqtt", "database"))

    broker.kill()
    wait_until(lambda: not running.works("mqtt"))
    assert running.works("receiver hall", "bridge", "database")
    broker.start()
    with closing(Subscriber(broker.host, broker.port, "citizenwatt/#")) as subscriber:
        wait_until(lambda: "online" in subscriber.payloads("citizenwatt/bridge/state"))
        before = sensor.sent
        wait_until(lambda: subscriber.newest_w() > before)


@SQLITE_ONLY
def test_readings_of_an_outage_of_postgresql_are_stored_afterwards(
    tmp_path, bridge, sensor, broker, postgres_server, database_url
):
    running = bridge(database={"url": postgres_server.url})
    running.start()
    wait_until(lambda: running.works("database"))

    postgres_server.stop()
    with closing(Subscriber(broker.host, broker.port, "citizenwatt/main/power")) as subscriber:
        during = sensor.sent
        wait_until(lambda: subscriber.newest_w() > during + 20)
    wait_until(lambda: not running.works("database"))
    postgres_server.start()
    wait_until(lambda: running.works("database"))
    running.stop()

    stored_w = [w for (w,) in rows(tmp_path, postgres_server.url, "value")]
    assert stored_w == sorted(set(stored_w))
    assert set(range(during, during + 20)) <= {int(w) for w in stored_w}


@SQLITE_ONLY
def test_a_receiver_that_is_unplugged_and_plugged_in_again_is_heard(
    tmp_path, bridge, broker, database_url
):
    port = tmp_path / "ttyUSB0"
    first, second = Board(), Board()
    port.symlink_to(first.port)
    running = bridge(receivers=[{"name": "hall", "port": str(port)}])
    running.start()
    wait_until(lambda: running.works("receiver hall"))

    port.unlink()
    first.close()
    wait_until(lambda: not running.works("receiver hall"))
    port.symlink_to(second.port)
    wait_until(lambda: running.works("receiver hall"))

    sensor = Sensor(second)
    sensor.start()
    with closing(Subscriber(broker.host, broker.port, "citizenwatt/main/power")) as subscriber:
        wait_until(lambda: len(subscriber.payloads("citizenwatt/main/power")) > 2)
    sensor.stopping.set()
    sensor.join()
    second.close()


@SQLITE_ONLY
def test_it_starts_before_any_of_its_neighbours(
    bridge, sensor, broker, postgres_server, database_url
):
    broker.stop()
    postgres_server.stop()
    running = bridge(database={"url": postgres_server.url})

    running.start()
    wait_until(lambda: running.health()["sensors"]["main"]["heard"].get("verified", 0) > 3)
    broker.start()
    with closing(Subscriber(broker.host, broker.port, "citizenwatt/main/+")) as subscriber:
        wait_until(lambda: subscriber.payloads("citizenwatt/main/power"))
        assert subscriber.payloads("citizenwatt/main/energy") == []  # its total is not known yet
        postgres_server.start()
        wait_until(lambda: subscriber.payloads("citizenwatt/main/energy"))


@SQLITE_ONLY
def test_sigterm_ends_it_cleanly(bridge, sensor, broker, database_url):
    running = bridge()
    running.start()
    with closing(Subscriber(broker.host, broker.port, "citizenwatt/#")) as subscriber:
        wait_until(lambda: len(subscriber.payloads("citizenwatt/main/power")) > 3)
        running.stop()

        assert running.exit_code == 0
        wait_until(lambda: subscriber.payloads("citizenwatt/bridge/state")[-1] == "offline")
