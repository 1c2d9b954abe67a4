"""Tools for the command line that listen to, replay and simulate receivers."""

import math
import os
import tempfile
import threading
import time
import tty
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import click

from cw_mqtt.acquire.capture import CaptureWriter, read_capture
from cw_mqtt.acquire.pace import paced
from cw_mqtt.acquire.ports import make_receiver
from cw_mqtt.acquire.receiver import HandOver
from cw_mqtt.acquire.simulated import all_packets, running_sensor
from cw_mqtt.bridge import Bridge
from cw_mqtt.config.settings import ReceiverSettings, Settings
from cw_mqtt.dating import RELEASE_TS
from cw_mqtt.errors import UsageError
from cw_mqtt.health import Health
from cw_mqtt.journal import Journal
from cw_mqtt.model import SILENCE_S, Chunk, Reading
from cw_mqtt.simulate.firmware import receiver_line
from cw_mqtt.stages import Stage


def record(
    settings: Settings, folder: Path, receiver: str | None, output: Path, duration: timedelta | None
) -> None:
    """Write what a configured receiver hears into a capture, until Ctrl+C or for `duration`.

    Raises `UsageError` for a receiver that is not in the settings, or an output that exists.
    """
    chosen = receiver_named(receiver, settings)
    with CaptureWriter(output, chosen.name, time.time(), time.monotonic()) as capture:
        heard_bytes = 0

        def write(chunk: Chunk) -> None:
            nonlocal heard_bytes
            capture.write(chunk)
            heard_bytes += len(chunk.content)

        with listening(settings, folder, chosen, write):
            click.echo(f"Recording {chosen.port} into {output}; Ctrl+C ends it.", err=True)
            wait_for_interrupt(duration)
    click.echo(f"{heard_bytes} bytes recorded.", err=True)


def receiver_named(name: str | None, settings: Settings) -> ReceiverSettings:
    """A receiver of the settings, by default the first. Raises `UsageError`."""
    known = {each.name: each for each in settings.receivers}
    chosen = known.get(name or settings.receivers[0].name)
    if chosen is None:
        raise UsageError(f"no receiver {name!r} in the settings; there is {', '.join(known)}")
    return chosen


@contextmanager
def listening(
    settings: Settings, folder: Path, receiver: ReceiverSettings, hand_over: HandOver
) -> Iterator[None]:
    """Listen to a receiver's port for as long as the block runs."""
    health = Health()
    stage = Stage(make_receiver(receiver, folder, keys_of(settings), hand_over, health), health)
    stage.start()
    try:
        yield
    finally:
        stage.ask_to_stop()
        stage.join(timeout_s=5)


def replay(settings: Settings, capture: Path) -> tuple[list[Reading], dict[str, Any]]:
    """Every reading that the bridge makes of a capture, and what it passed over.

    The capture takes the ordinary way, with a journal that is thrown away.
    """
    chunks = list(read_capture(capture))
    receiver = receiver_of(chunks, settings)
    # the capture brings its own times: it does not matter whether this computer's clock is right
    now_ts = max([RELEASE_TS, *(chunk.heard_ts for chunk in chunks)])
    health = Health()
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Journal(Path(folder), durable=False)) as journal,
    ):
        bridge = Bridge(settings, journal, health, deque(maxlen=0), clock=lambda: now_ts)
        bridge.process(replace(chunk, receiver=receiver) for chunk in chunks)
        readings = [entry.reading for entry in journal.readings_after(0, len(chunks) * 256)]
        report = health.report()
    heard = report.get("receivers", {}).get(receiver, {})
    return readings, {"receiver": heard, "sensors": report["sensors"]}


def receiver_of(chunks: Sequence[Chunk], settings: Settings) -> str:
    """The receiver that a capture names if it is in the settings, which may tie sensors to it."""
    known = [each.name for each in settings.receivers]
    return next((chunk.receiver for chunk in chunks if chunk.receiver in known), known[0])


def simulate_to_capture(
    settings: Settings, output: Path, duration: timedelta, *, lines: bool
) -> None:
    """Write what the configured sensors would send from now on into a capture.

    Raises `UsageError` when the capture exists.
    """
    receiver, now_ts = settings.receivers[0].name, time.time()
    with CaptureWriter(output, receiver, now_ts, now_ts) as capture:
        for ts, content in contents(settings, now_ts, duration, lines=lines):
            silent_ts = ts + SILENCE_S
            capture.write(Chunk(receiver, ts, ts, content))
            capture.write(Chunk(receiver, silent_ts, silent_ts, b""))
    click.echo(f"{output} is written.", err=True)


def simulate_on_port(settings: Settings, duration: timedelta | None, *, lines: bool) -> None:
    """Send what the configured sensors would send to a serial port made for it.

    Ends with Ctrl+C, or after `duration`.
    """
    board, port = os.openpty()
    tty.setraw(port)
    os.set_blocking(board, False)
    click.echo(os.ttyname(port))
    click.echo("Name this port in config.yaml to hear the sensors; Ctrl+C ends it.", err=True)
    timed = contents(settings, time.time(), duration, lines=lines)
    with suppress(KeyboardInterrupt):
        for content in paced(timed, threading.Event()):
            with suppress(BlockingIOError):  # nobody reads and it is full: lost as on the air
                os.write(board, content)


def contents(
    settings: Settings, start_ts: float, duration: timedelta | None, *, lines: bool
) -> Iterator[tuple[float, bytes]]:
    """What a receiver writes, with its time: raw bursts, or lines; without end by default."""
    sensors = [running_sensor(key, start_ts) for key in keys_of(settings)]
    end_ts = start_ts + duration.total_seconds() if duration is not None else math.inf
    timed = takewhile(lambda packet: packet[0] <= end_ts, all_packets(sensors, start_ts))
    for seq, (ts, payload) in enumerate(timed):
        yield ts, receiver_line(seq, payload) if lines else payload


def keys_of(settings: Settings) -> list[bytes]:
    """The key of each configured sensor."""
    return [sensor.key.get_secret_value() for sensor in settings.sensors]


def wait_for_interrupt(duration: timedelta | None) -> None:
    """Wait for Ctrl+C, or for `duration`."""
    with suppress(KeyboardInterrupt):
        threading.Event().wait(duration.total_seconds() if duration is not None else None)
