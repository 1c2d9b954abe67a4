"""What is no packet of ours: nothing is made up, nothing ends, each is counted and named."""

import random
import socket
import subprocess
from contextlib import closing

import serial

from tests.end_to_end.process import SQLITE_ONLY, rows
from tests.packets import OTHER_KEY, payloads
from tests.waiting import DEADLINE_S, wait_until


def heard(running):
    return running.health()["receivers"]["hall"]


@SQLITE_ONLY
def test_noise_zeros_and_ones_become_no_reading(tmp_path, bridge, board, database_url):
    running = bridge()
    running.start()
    wait_until(lambda: running.works("receiver hall", "bridge", "mqtt", "database"))

    noise = random.Random(7)
    for content in (bytes(16), b"\xff" * 16, noise.randbytes(700), payloads()[0][3:], bytes(640)):
        before = heard(running).get("bytes", 0)
        board.send(content)
        wait_until(lambda: heard(running).get("bytes", 0) == before + len(content))  # noqa: B023 - used at once

    wait_until(lambda: heard(running).get("zeros", 0) > 38)
    assert heard(running)["ones"] == 1
    assert heard(running)["skipped_bytes"] > 600
    assert running.works("receiver hall", "bridge", "mqtt", "database")
    running.stop()
    assert rows(tmp_path, None, "value") == []


@SQLITE_ONLY
def test_a_wrong_key_is_counted(bridge, board, database_url):
    sensor = {"slug": "main", "name": "CitizenWatt", "key": OTHER_KEY.hex()}
    running = bridge(sensors=[sensor])
    running.start()
    wait_until(lambda: running.works("receiver hall"))

    board.send(payloads()[0])

    wait_until(lambda: heard(running).get("undecryptable") == 1)


@SQLITE_ONLY
def test_a_port_that_is_a_directory_is_named_and_the_rest_works(tmp_path, bridge, database_url):
    running = bridge(receivers=[{"name": "hall", "port": str(tmp_path)}])
    running.start()

    stage = wait_until(lambda: running.health()["stages"]["receiver hall"])

    wait_until(lambda: "is a directory" in running.health()["stages"]["receiver hall"]["reason"])
    wait_until(lambda: running.works("bridge", "mqtt", "database"))
    assert stage["state"] == "waiting"


@SQLITE_ONLY
def test_a_port_in_use_by_another_program_is_named_and_taken_when_free(bridge, board, database_url):
    running = bridge()
    with closing(serial.Serial(board.port, exclusive=True)):
        running.start()
        wait_until(lambda: "in use" in running.health()["stages"]["receiver hall"]["reason"])

    wait_until(lambda: running.works("receiver hall"))


@SQLITE_ONLY
def test_a_second_bridge_on_the_same_data_ends_with_code_2(tmp_path, bridge, database_url):
    running = bridge()
    running.start()

    second = subprocess.run(
        running.command, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )

    assert second.returncode == 2
    assert "is in use by process" in second.stderr
    assert running.works("bridge")


@SQLITE_ONLY
def test_a_web_port_in_use_is_waited_for(bridge, database_url):
    running = bridge()
    with socket.create_server(("127.0.0.1", running.port)):
        running.start()  # the other program's server answers
        wait_until(lambda: "cannot listen" in running.log_file.read_text())

    wait_until(running.answers)
    wait_until(lambda: running.works("web", "bridge"))
