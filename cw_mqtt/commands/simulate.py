"""`cw-mqtt simulate`: the configured sensors, on a port made for it or in a capture."""

import math
import os
import threading
import time
import tty
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from heapq import merge
from itertools import takewhile
from pathlib import Path
from random import Random
from typing import Any

import click

from cw_mqtt.acquire.capture import CaptureWriter
from cw_mqtt.acquire.replay import paced
from cw_mqtt.acquire.simulated import APART_S, running_sensor
from cw_mqtt.commands.common import duration, load
from cw_mqtt.config.settings import Settings
from cw_mqtt.model import Chunk
from cw_mqtt.simulate.air import Attacker, Habits, Signal, attacked, broadcast, lossy
from cw_mqtt.simulate.cable import Cable
from cw_mqtt.simulate.household import plausible_power_w

SHARE = click.FloatRange(0, 1)


@click.command("simulate")
@click.option("--output", type=click.Path(path_type=Path), help="Write a capture instead.")
@click.option(
    "--duration", type=duration, help="End after this time; by default at Ctrl+C, a capture at 1h."
)
@click.option("--lines", is_flag=True, help="As our receiver's lines, not as raw bursts.")
@click.option("--loss", type=SHARE, default=0.0, help="Share of packets lost on the air, as 0.1.")
@click.option("--faults", type=SHARE, default=0.0, help="Share of packets spoilt on the cable.")
@click.option("--attack", is_flag=True, help="Somebody repeats old packets and makes up others.")
@click.pass_obj
def simulate_command(
    config: Path | None, /, output: Path | None, duration: timedelta | None, **trouble: Any
) -> None:
    """Simulate the configured sensors: on a serial port made for it, or in a capture.

    Without --output a port is opened and named; a bridge whose receiver has that port hears the
    sensors. With the troubles of a real house, see what the bridge makes of them:

    cw-mqtt simulate --loss 0.1 --attack --output bad.cwcap && cw-mqtt replay bad.cwcap
    """
    settings, _ = load(config)
    if output is None:
        simulate_on_port(settings, duration, Trouble(**trouble))
        return
    an_hour = timedelta(hours=1)
    simulate_to_capture(
        settings, output, an_hour if duration is None else duration, Trouble(**trouble)
    )


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
            running_sensor(sensor.key.get_secret_value(), start_ts),
            start_ts + number * APART_S,
            partial(plausible_power_w, seed=number),
            Habits(),
        )
        for number, sensor in enumerate(settings.sensors)
    )
    signals: Iterable[Signal] = lossy(merge(*sent), trouble.loss, random)
    if trouble.attack:
        signals = attacked(signals, Attacker(random))
    end_ts = start_ts + duration.total_seconds() if duration is not None else math.inf
    timely = takewhile(lambda signal: signal.ts <= end_ts, signals)
    cable = Cable(settings.receivers[0].name, random, trouble.faults, lines=trouble.lines)
    return (chunk for _, chunks in cable.carry(timely) for chunk in chunks)
