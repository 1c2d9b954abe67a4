"""Tools for the command line that listen to, replay and simulate receivers."""

import os
import tempfile
import threading
import time
import tty
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from cw_mqtt.acquire.capture import CaptureWriter, read_capture
from cw_mqtt.acquire.pace import paced
from cw_mqtt.acquire.ports import make_receiver
from cw_mqtt.acquire.simulated import all_packets, running_sensor
from cw_mqtt.bridge import Bridge
from cw_mqtt.config.settings import Settings
from cw_mqtt.errors import UsageError
from cw_mqtt.health import Health
from cw_mqtt.journal import Journal
from cw_mqtt.model import Chunk, Reading
from cw_mqtt.simulate import receiver_line
from cw_mqtt.stages import Stage


def record(
    settings: Settings, folder: Path, receiver: str | None, output: Path, duration: timedelta | None
) -> None:
    """Write what a configured receiver hears into a capture, until Ctrl+C or for `duration`.

    Raises `UsageError` for a receiver that is not in the settings, or an output that exists.
    """
    known = {each.name: each for each in settings.receivers}
    chosen = known.get(receiver or settings.receivers[0].name)
    if chosen is None:
        raise UsageError(f"no receiver {receiver!r} in the settings; there is {', '.join(known)}")
    with CaptureWriter(output, chosen.name, time.time(), time.monotonic()) as capture:
        heard_bytes = 0

        def write(chunk: Chunk) -> None:
            nonlocal heard_bytes
            capture.write(chunk)
            heard_bytes += len(chunk.content)

        health = Health()
        stage = Stage(make_receiver(chosen, folder, keys_of(settings), write, health), health)
        stage.start()
        click.echo(f"Recording {chosen.port} into {output}; Ctrl+C ends it.", err=True)
        wait_for_interrupt(duration)
        stage.ask_to_stop()
        stage.join(timeout_s=5)
    click.echo(f"{heard_bytes} bytes recorded.", err=True)


def replay(settings: Settings, capture: Path) -> tuple[list[Reading], dict[str, Any]]:
    """Every reading that the bridge makes of a capture, and what it passed over.

    The capture takes the ordinary way, with a journal that is thrown away.
    """
    receiver = settings.receivers[0].name
    chunks = [replace(chunk, receiver=receiver) for chunk in read_capture(capture)]
    health = Health()
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder), durable=False)
        bridge = Bridge(settings, journal, health, deque(maxlen=0))
        bridge.process(chunks)
        readings = [entry.reading for entry in journal.readings_after(0, len(chunks) * 256)]
        report = health.report()
        journal.close()
    heard = {"receiver": report["receivers"].get(receiver, {}), "sensors": report["sensors"]}
    return readings, heard


def simulate_to_capture(
    settings: Settings, output: Path, duration: timedelta, *, lines: bool
) -> None:
    """Write what the configured sensors would send from now on into a capture."""
    now_ts = time.time()
    with CaptureWriter(output, settings.receivers[0].name, now_ts, now_ts) as capture:
        for ts, content in contents(settings, now_ts, lines=lines):
            if ts > now_ts + duration.total_seconds():
                break
            capture.write(Chunk(settings.receivers[0].name, ts, ts, content))
    click.echo(f"{output} is written.", err=True)


def simulate_on_port(settings: Settings, *, speed: float, lines: bool) -> None:
    """Send what the configured sensors would send to a serial port made for it, until Ctrl+C."""
    board, port = os.openpty()
    tty.setraw(port)
    os.set_blocking(board, False)
    click.echo(os.ttyname(port))
    click.echo("Name this port in config.yaml to hear the sensors; Ctrl+C ends it.", err=True)
    timed = contents(settings, time.time(), lines=lines)
    for content in paced(timed, threading.Event(), speed):
        with suppress(BlockingIOError):  # nobody reads, and the port is full: lost as on the air
            os.write(board, content)


def contents(settings: Settings, start_ts: float, *, lines: bool) -> Iterator[tuple[float, bytes]]:
    """What a receiver writes, with its time: raw bursts, or lines."""
    sensors = [running_sensor(key, start_ts) for key in keys_of(settings)]
    for seq, (ts, payload) in enumerate(all_packets(sensors, start_ts)):
        yield ts, receiver_line(seq, payload) if lines else payload


def keys_of(settings: Settings) -> list[bytes]:
    """The key of each configured sensor."""
    return [sensor.key.get_secret_value() for sensor in settings.sensors]


def wait_for_interrupt(duration: timedelta | None) -> None:
    """Wait for Ctrl+C, or for `duration`."""
    with suppress(KeyboardInterrupt):
        threading.Event().wait(duration.total_seconds() if duration else None)
