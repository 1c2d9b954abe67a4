"""`cw-mqtt record`: what a receiver hears, written into a capture."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import click

from cw_mqtt.acquire.capture import CaptureWriter
from cw_mqtt.acquire.ports import make_receiver
from cw_mqtt.acquire.receiver import HandOver
from cw_mqtt.commands.common import duration, load
from cw_mqtt.config.settings import ReceiverSettings, Settings
from cw_mqtt.errors import UsageError
from cw_mqtt.model import Chunk
from cw_mqtt.runtime.clock import steady_s
from cw_mqtt.runtime.health import Health
from cw_mqtt.runtime.logs import set_up_logs
from cw_mqtt.runtime.stages import Stage


@click.command("record")
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--receiver", help="Which receiver of config.yaml; by default the first.")
@click.option("--duration", type=duration, help="End after this time; by default at Ctrl+C.")
@click.pass_obj
def record_command(
    config: Path | None, output: Path, receiver: str | None, duration: timedelta | None
) -> None:
    """Write what a receiver hears into the capture OUTPUT, byte for byte, with times.

    A capture is text. `cw-mqtt replay` reads it, and so does a receiver whose port is
    `replay:OUTPUT`. It holds no key: what is in it stays encrypted.
    """
    settings, folder = load(config)
    set_up_logs(settings.logging)
    _record(settings, folder, receiver, output, duration)


def _record(
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
            _wait_for_interrupt(duration)
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
    stage = Stage(make_receiver(receiver, folder, settings.sensors, hand_over, health), health)
    stage.start()
    try:
        yield
    finally:
        stage.ask_to_stop()
        stage.join(timeout_s=5)


def _wait_for_interrupt(duration: timedelta | None) -> None:
    """Wait for Ctrl+C, or for `duration`."""
    with suppress(KeyboardInterrupt):
        threading.Event().wait(duration.total_seconds() if duration is not None else None)
