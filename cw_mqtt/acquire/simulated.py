"""Sensors that do not exist, heard through a serial port that does: a pseudo-terminal."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from heapq import merge
from random import Random

from cw_mqtt.acquire.replay import paced
from cw_mqtt.acquire.serial_port import Line, open_serial
from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.model import TAIL_SIZE, TIMER_RANGE_MS
from cw_mqtt.runtime.clock import steady_s
from cw_mqtt.simulate.firmware import SensorFirmware, packets
from cw_mqtt.simulate.household import plausible_power_w

BAUDRATE = 57600
APART_S = 1.0  # two sensors' packets must not come in one burst
TIMER_MS_PER_S = 110
FORMAT_OF_AUTO = "v1"  # what most sensors send


def open_simulated(sensors: Sequence[SensorSettings]) -> Line:
    """A line with these sensors; they have been running all along."""
    now_s = steady_s()
    return SimulatedLine([running_sensor(sensor, now_s) for sensor in sensors])


def running_sensor(sensor: SensorSettings, now_s: float) -> SensorFirmware:
    """A sensor that has been running all along, also while the bridge was not.

    Its timer starts from a clock that nobody sets, at a rate a little above that of its packets:
    so the bridge sees it rise whenever the line is opened again, as it must.
    """
    random = Random()  # noqa: S311 - nothing secret comes of it
    timer_ms = int(now_s * TIMER_MS_PER_S) % TIMER_RANGE_MS
    return SensorFirmware(
        sensor.key.get_secret_value(),
        random,
        timer_ms=timer_ms,
        tail=random.randbytes(TAIL_SIZE),
        format_name=FORMAT_OF_AUTO if sensor.format == "auto" else sensor.format,
    )


class SimulatedLine:
    """A serial line to which simulated sensors send; the ordinary serial reading reads it.

    Time runs `speed` times faster for the sensors, from now.
    """

    def __init__(self, sensors: Sequence[SensorFirmware], speed: float = 1.0) -> None:
        with ExitStack() as stack:
            board, port = os.openpty()
            stack.callback(os.close, board)
            stack.callback(os.close, port)
            self._line = open_serial(os.ttyname(port), BAUDRATE)
            stack.callback(self._line.close)
            os.set_blocking(board, False)
            stopping = threading.Event()
            arguments = (board, all_packets(sensors, time.time()), stopping, speed)
            feeder = threading.Thread(target=feed, args=arguments, daemon=True)
            feeder.start()
            stack.callback(feeder.join)
            stack.callback(stopping.set)
            self._close = stack.pop_all().close

    def read(self, timeout_s: float) -> bytes:
        """See `Line.read`."""
        return self._line.read(timeout_s)

    def close(self) -> None:
        """See `Line.close`; the sensors keep their state."""
        self._close()


def all_packets(
    sensors: Sequence[SensorFirmware], start_ts: float
) -> Iterator[tuple[float, bytes]]:
    """The packets of several sensors, each with a household of its own, in order of time."""
    return merge(
        *(
            packets(sensor, start_ts + i * APART_S, partial(plausible_power_w, seed=i))
            for i, sensor in enumerate(sensors)
        )
    )


def feed(
    board: int, timed: Iterator[tuple[float, bytes]], stopping: threading.Event, speed: float
) -> None:
    """Write each packet when it is due; one that the full line cannot take is lost."""
    for payload in paced(timed, stopping, speed):
        with suppress(BlockingIOError):
            os.write(board, payload)
