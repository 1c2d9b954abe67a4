"""`cw-mqtt simulate`: the configured sensors, on a port made for it or in a capture."""

import math
import os
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import count, takewhile
from pathlib import Path
from random import Random

import click

from cw_mqtt.acquire.capture import CaptureWriter
from cw_mqtt.acquire.replay import paced
from cw_mqtt.acquire.simulated import all_packets, running_sensor
from cw_mqtt.commands.common import duration, load
from cw_mqtt.config.settings import Settings
from cw_mqtt.model import SILENCE_S, Chunk
from cw_mqtt.simulate.firmware import receiver_line


@click.command("simulate")
@click.option("--output", type=click.Path(path_type=Path), help="Write a capture instead.")
@click.option(
    "--duration", type=duration, help="End after this time; by default at Ctrl+C, a capture at 1h."
)
@click.option("--lines", is_flag=True, help="As our receiver's lines, not as raw bursts.")
@click.option(
    "--loss", type=click.FloatRange(0, 1), default=0.0, help="Share of packets lost, as 0.1."
)
@click.pass_obj
def simulate_command(
    config: Path | None,
    output: Path | None,
    duration: timedelta | None,
    *,
    lines: bool,
    loss: float,
) -> None:
    """Simulate the configured sensors: on a serial port made for it, or in a capture.

    Without --output a port is opened and named; a bridge whose receiver has that port hears the
    sensors. See what the bridge makes of lost packets:

    cw-mqtt simulate --loss 0.1 --output lossy.cwcap && cw-mqtt replay lossy.cwcap
    """
    settings, _ = load(config)
    if output is None:
        chunks = _simulated_chunks(settings, duration, lines=lines, loss=loss)
        _send_to_port(chunks)
        return
    an_hour = timedelta(hours=1) if duration is None else duration
    now_ts = time.time()
    with CaptureWriter(output, settings.receivers[0].name, now_ts, now_ts) as capture:
        for chunk in _simulated_chunks(settings, an_hour, lines=lines, loss=loss):
            capture.write(chunk)
    click.echo(f"{output} is written.", err=True)


def _send_to_port(chunks: Iterator[Chunk]) -> None:
    """Send what the receiver would hear to a serial port made for it, until Ctrl+C."""
    board, port = os.openpty()
    tty.setraw(port)
    os.set_blocking(board, False)
    click.echo(os.ttyname(port))
    click.echo("Name this port in config.yaml to hear the sensors; Ctrl+C ends it.", err=True)
    timed = ((chunk.heard_ts, chunk.content) for chunk in chunks)
    with suppress(KeyboardInterrupt):
        for content in paced(timed, threading.Event()):
            with suppress(BlockingIOError):  # nobody reads and it is full: lost as on the air
                os.write(board, content)


def _simulated_chunks(
    settings: Settings, duration: timedelta | None, *, lines: bool, loss: float
) -> Iterator[Chunk]:
    """What is read from the first receiver of the settings from now on, or without end."""
    start_ts, receiver = time.time(), settings.receivers[0].name
    end_ts = start_ts + duration.total_seconds() if duration is not None else math.inf
    sensors = [running_sensor(sensor, start_ts) for sensor in settings.sensors]
    sent = all_packets(sensors, start_ts)
    timely = takewhile(lambda packet: packet[0] <= end_ts, sent)
    random = Random()  # noqa: S311 - nothing secret is made of it
    heard = (packet for packet in timely if random.random() >= loss)
    for seq, (ts, payload) in zip(count(), heard, strict=False):
        yield Chunk(receiver, ts, ts, receiver_line(seq, payload) if lines else payload)
        yield Chunk(receiver, ts + SILENCE_S, ts + SILENCE_S, b"")
