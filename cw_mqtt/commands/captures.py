"""Tools for the command line that listen to, replay and simulate receivers."""

import math
import os
import tempfile
import threading
import time
import tty
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from heapq import merge
from itertools import takewhile
from pathlib import Path
from random import Random
from typing import Any

import click

from cw_mqtt.acquire.capture import CaptureWriter, read_capture
from cw_mqtt.acquire.pace import paced
from cw_mqtt.acquire.ports import make_receiver
from cw_mqtt.acquire.receiver import HandOver
from cw_mqtt.acquire.simulated import APART_S, running_sensor
from cw_mqtt.bridge.bridge import Bridge
from cw_mqtt.config.settings import ReceiverSettings, Settings
from cw_mqtt.errors import UsageError
from cw_mqtt.journal.journal import Journal
from cw_mqtt.model import Chunk, Reading
from cw_mqtt.runtime.clock import steady_s
from cw_mqtt.runtime.health import Health
from cw_mqtt.runtime.stages import Stage
from cw_mqtt.simulate.air import Attacker, Habits, Signal, attacked, broadcast, lossy
from cw_mqtt.simulate.cable import Cable
from cw_mqtt.simulate.household import plausible_power_w


def record(
    settings: Settings, folder: Path, receiver: str | None, output: Path, duration: timedelta | None
) -> None:
    """Write what a configured receiver hears into a capture, until Ctrl+C or for `duration`.

    Raises `UsageError` for a receiver that is not in the settings, or an output that exists.
    """
    chosen = receiver_named(receiver, settings)
    with CaptureWriter(output, chosen.name, time.time(), steady_s()) as capture:
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
    health = Health()
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Journal(Path(folder), durable=False)) as journal,
    ):
        bridge = Bridge(settings, journal, health, deque(maxlen=0))
        bridge.process(replace(chunk, receiver=receiver) for chunk in chunks)
        readings = [entry.reading for entry in journal.readings_after(0, len(chunks) * 256)]
        report = health.report()
    heard = report.get("receivers", {}).get(receiver, {})
    return readings, {"receiver": heard, "sensors": report["sensors"]}


def receiver_of(chunks: Sequence[Chunk], settings: Settings) -> str:
    """The receiver that a capture names if it is in the settings, which may tie sensors to it."""
    known = [each.name for each in settings.receivers]
    return next((chunk.receiver for chunk in chunks if chunk.receiver in known), known[0])


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happens to simulated packets: shares lost on the air and spoilt on the cable.

    `attack`: somebody without the key repeats recorded packets and makes up others.
    """

    loss: float = 0.0
    faults: float = 0.0
    attack: bool = False
    lines: bool = False


def simulate_to_capture(
    settings: Settings, output: Path, duration: timedelta, trouble: Trouble
) -> None:
    """Write what the receiver would hear of the configured sensors from now on into a capture.

    Raises `UsageError` when the capture exists.
    """
    now_ts = time.time()
    with CaptureWriter(output, settings.receivers[0].name, now_ts, now_ts) as capture:
        for chunk in simulated_chunks(settings, now_ts, duration, trouble):
            capture.write(chunk)
    click.echo(f"{output} is written.", err=True)


def simulate_on_port(settings: Settings, duration: timedelta | None, trouble: Trouble) -> None:
    """Send what the receiver would hear of the configured sensors to a serial port made for it.

    Ends with Ctrl+C, or after `duration`.
    """
    board, port = os.openpty()
    tty.setraw(port)
    os.set_blocking(board, False)
    click.echo(os.ttyname(port))
    click.echo("Name this port in config.yaml to hear the sensors; Ctrl+C ends it.", err=True)
    chunks = simulated_chunks(settings, time.time(), duration, trouble)
    timed = ((chunk.heard_ts, chunk.content) for chunk in chunks)
    with suppress(KeyboardInterrupt):
        for content in paced(timed, threading.Event()):
            with suppress(BlockingIOError):  # nobody reads and it is full: lost as on the air
                os.write(board, content)


def simulated_chunks(
    settings: Settings, start_ts: float, duration: timedelta | None, trouble: Trouble
) -> Iterator[Chunk]:
    """What is read from the first receiver of the settings; without end by default."""
    random = Random()  # noqa: S311 - nothing secret is made of it
    sent = (
        broadcast(
            sensor.slug,
            running_sensor(key, start_ts),
            start_ts + number * APART_S,
            partial(plausible_power_w, seed=number),
            Habits(),
        )
        for number, (sensor, key) in enumerate(
            zip(settings.sensors, keys_of(settings), strict=True)
        )
    )
    signals: Iterable[Signal] = lossy(merge(*sent), trouble.loss, random)
    if trouble.attack:
        signals = attacked(signals, Attacker(random))
    end_ts = start_ts + duration.total_seconds() if duration is not None else math.inf
    timely = takewhile(lambda signal: signal.ts <= end_ts, signals)
    cable = Cable(settings.receivers[0].name, random, trouble.faults, lines=trouble.lines)
    return (chunk for _, chunks in cable.carry(timely) for chunk in chunks)


def keys_of(settings: Settings) -> list[bytes]:
    """The key of each configured sensor."""
    return [sensor.key.get_secret_value() for sensor in settings.sensors]


def wait_for_interrupt(duration: timedelta | None) -> None:
    """Wait for Ctrl+C, or for `duration`."""
    with suppress(KeyboardInterrupt):
        threading.Event().wait(duration.total_seconds() if duration is not None else None)
