"""From a simulated clamp to a message and a row: both programs, the air, and the real bridge."""

import os
import subprocess
from contextlib import closing

import pytest
import serial

from tests.amounts import amount
from tests.end_to_end.process import Bridge, Subscriber, rows
from tests.waiting import DEADLINE_S, wait_until

CURRENT_A, MAINS_V = 4.25, 240
BAUDRATE = 57600
MESSAGES = amount(1, torture=3)
SPEED = 8  # times as fast as real time, if the machine can
SCRIPT = f"0 clamp {CURRENT_A}\n0 loss 0.3\n1e9 end\n"


@pytest.fixture
def port(tmp_path, workshop, request):
    """The serial port of a receiver that hears a sensor with this program on bad air."""
    link = tmp_path / "ttyUSB0"
    programs = ["-r", workshop.make("receiver.elf"), "-s", workshop.make(request.param)]
    command = [workshop.make("host"), *programs, "-p", link, "-x", str(SPEED)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as boards:
        os.write(boards.stdin.fileno(), SCRIPT.encode())
        wait_until(link.exists)
        yield link
        boards.kill()


@pytest.mark.parametrize("port", ["sensor.elf"], indirect=True)
def test_who_opens_the_port_resets_the_board_and_hears_it_from_the_beginning(port):
    with serial.Serial(str(port), BAUDRATE, timeout=DEADLINE_S) as opened:
        assert opened.readline() == b"CW1 H 1.0.0 ok *3F5F\n"


@pytest.mark.parametrize(
    "port", amount(["sensor.elf"], torture=["FORMAT_V1.elf", "sensor.elf"]), indirect=True
)
def test_a_current_in_the_clamp_becomes_a_message_and_a_row(tmp_path, broker, port):
    bridge = Bridge(
        tmp_path,
        {
            "receivers": [{"name": "hall", "port": str(port)}],
            "mqtt": {"host": broker.host, "port": broker.port},
        },
    )
    with closing(Subscriber(broker.host, broker.port, "citizenwatt/main/power")) as subscriber:
        bridge.start()
        wait_until(lambda: len(subscriber.payloads("citizenwatt/main/power")) >= MESSAGES)
        bridge.stop()

    right_w = pytest.approx(CURRENT_A * MAINS_V, rel=0.02)
    published_w = [float(text) for text in subscriber.payloads("citizenwatt/main/power")]
    stored_w = [power_w for (power_w,) in rows(tmp_path, None, "value")]
    assert published_w == [right_w] * len(published_w)
    assert stored_w == [right_w] * len(stored_w)
    assert len(stored_w) >= MESSAGES
