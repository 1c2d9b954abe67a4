"""Simulated sensors, heard through a pseudo-terminal."""

import os
import threading
from itertools import pairwise

from Crypto.Cipher import AES

from cw_mqtt.acquire.receiver import Receiver
from cw_mqtt.acquire.serial_port import Line
from cw_mqtt.acquire.simulated import SimulatedLine, feed, running_sensor
from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.simulate.firmware import SensorFirmware
from tests.acquire.conftest import Serving
from tests.waiting import wait_until

KEY = bytes(range(16))
OTHER_KEY = bytes(range(16, 32))
FAST = 100.0
MAIN, OTHER = (
    SensorSettings.model_validate({"slug": "main", "name": "Main", "key": key.hex()})
    for key in (KEY, OTHER_KEY)
)


def plain(payload: bytes, key: bytes = KEY) -> bytes:
    return AES.new(key, AES.MODE_ECB).decrypt(payload)


def timer_ms(payload: bytes) -> int:
    return int.from_bytes(plain(payload)[6:10], "little")


def start(serving: Serving, sensors: list[SensorFirmware]) -> None:
    def open_line() -> Line:
        return SimulatedLine(sensors, FAST)

    serving.start(Receiver("demo", open_line, serving.chunks.append, serving.health))


def frames(serving: Serving, count: int) -> list[bytes]:
    """The first `count` frames, as soon as they have come."""
    heard = wait_until(lambda: [c for c in serving.contents if c][count - 1 :] and serving.contents)
    return [content for content in heard if content][:count]


def test_a_simulated_sensor_sends_a_chain_of_packets(serving: Serving) -> None:
    start(serving, [running_sensor(MAIN, 0.0)])

    heard = frames(serving, 4)

    assert [len(frame) for frame in heard] == [16] * 4
    assert all(plain(after)[10:] == before[10:] for before, after in pairwise(heard))


def test_each_key_has_a_sensor_of_its_own(serving: Serving) -> None:
    sensors = [running_sensor(each, 0.0) for each in (MAIN, OTHER)]
    start(serving, sensors)

    voltages_v = [
        {plain(frame, key)[2:4] for key in (KEY, OTHER_KEY)} for frame in frames(serving, 4)
    ]

    assert all((240).to_bytes(2, "little") in voltage for voltage in voltages_v)


def test_a_sensor_goes_on_where_it_was_when_its_line_is_opened_again() -> None:
    sensor = running_sensor(MAIN, 0.0)
    line = SimulatedLine([sensor])
    last = line.read(5.0)
    line.close()

    line = SimulatedLine([sensor])
    first = line.read(5.0)
    line.close()

    assert 0 < timer_ms(first) - timer_ms(last) < 10_000


def test_what_a_full_line_cannot_take_is_lost() -> None:
    port, board = os.pipe()
    os.set_blocking(board, False)

    feed(board, ((0.0, bytes(16)) for _ in range(10_000)), threading.Event(), 1.0)

    assert 16 <= len(os.read(port, 1_000_000)) < 160_000
    os.close(board)
    os.close(port)


def test_a_running_sensor_has_no_settling_left() -> None:
    sensor = running_sensor(MAIN, 0.0)

    first = plain(sensor.measure(1020))

    assert int.from_bytes(first[:2], "little") == 1020
    assert first[10:] != bytes(6)


def test_a_timer_rises_across_restarts_of_the_bridge_within_what_time_allows() -> None:
    before = running_sensor(MAIN, 1e9)
    for _ in range(1000):
        last = before.measure(500)

    first = running_sensor(MAIN, 1e9 + 1000 * 8.192).measure(500)

    assert 0 < timer_ms(first) - timer_ms(last) < 1000 * 8192
