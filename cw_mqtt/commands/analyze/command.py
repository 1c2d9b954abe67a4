"""`cw-mqtt analyze`: why a sensor is heard, or is not."""

import json
import sys
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import click

from cw_mqtt.acquire.capture import read_capture
from cw_mqtt.commands.analyze.analysis import analyze
from cw_mqtt.commands.analyze.findings import explain
from cw_mqtt.commands.analyze.report import as_json as report_json
from cw_mqtt.commands.analyze.report import as_text, is_healthy
from cw_mqtt.commands.common import AS_JSON, FAILED, duration, load
from cw_mqtt.commands.record import listening, receiver_named
from cw_mqtt.commands.replay import receiver_of
from cw_mqtt.config.keys import refuse_keys, sensor_keys
from cw_mqtt.config.settings import ReceiverSettings, Settings
from cw_mqtt.errors import UsageError
from cw_mqtt.model import BLOCK_SIZE, Chunk
from cw_mqtt.runtime.logs import set_up_logs

CHUNKS_KEPT = 100_000  # of a port that is listened to for long, the newest: half a week of packets
HEX_APART_S = 60.0  # packets given as hex have no times; this explains some lost between them


@click.command("analyze")
@click.argument("sources", nargs=-1, metavar="[SOURCE...]")
@click.option("--receiver", help="Which receiver of config.yaml; by default the first.")
@click.option("--duration", type=duration, default="60s", help="How long to listen.")
@click.option("--verbose", is_flag=True, help="Every byte of the first packets under each key.")
@AS_JSON
@click.pass_obj
def analyze_command(
    config: Path | None,
    sources: tuple[str, ...],
    receiver: str | None,
    duration: timedelta,
    *,
    verbose: bool,
    as_json: bool,
) -> None:
    """Say in words and numbers why a sensor is heard, or is not, and what to do.

    SOURCE is a capture (see `record`), packets of 32 hex digits each, or a longer stream of hex
    digits. Without one the receiver's port is listened to, for a minute or until Ctrl+C; stop
    `cw-mqtt run` before, since it holds the port. Tested are: a wrong key, reversed bytes,
    noise, a stuck radio, damaged lines, lost packets, another sensor under the same key, the
    published example key. Keys are shown by fingerprints only (see `key fingerprint`).

    Exit code 0: a configured sensor certainly works; 1: it does not, or that cannot be told yet.
    """
    settings, folder = load(config)
    is_capture = len(sources) == 1 and _is_file(sources[0])
    if is_capture:
        chunks: Sequence[Chunk] = list(read_capture(Path(sources[0])))
        chosen = receiver_named(receiver_of(chunks, settings), settings)
    else:
        chosen = receiver_named(receiver, settings)
        chunks = (
            _from_hex(sources, settings) if sources else _listen(settings, folder, chosen, duration)
        )
    timed = is_capture or not sources
    case = analyze(chunks, settings, chosen, timed=timed)
    findings = explain(case)
    report = report_json(case, findings)
    click.echo(json.dumps(report) if as_json else as_text(case, findings, verbose=verbose))
    if not is_healthy(findings):
        sys.exit(FAILED)


def _is_file(text: str) -> bool:
    try:
        return Path(text).exists()
    except OSError:  # a long stream of hex digits can be no name
        return False


def _from_hex(texts: Sequence[str], settings: Settings) -> list[Chunk]:
    """Packets, if each text has 32 hex digits; else one stream of bytes. Raises `UsageError`."""
    try:
        contents = [bytes.fromhex(text) for text in texts]
    except ValueError as error:  # the text is not shown: it may be a key
        raise UsageError("SOURCE: expected a capture that exists, or hex digits") from error
    stream = b"".join(contents)
    refuse_keys(stream, sensor_keys(settings.sensors))
    whole = all(len(content) == BLOCK_SIZE for content in contents)
    times = (
        (n * HEX_APART_S, content) for n, content in enumerate(contents if whole else [stream])
    )
    return [Chunk(settings.receivers[0].name, at_s, at_s, content) for at_s, content in times]


def _listen(
    settings: Settings, folder: Path, receiver: ReceiverSettings, duration: timedelta
) -> Sequence[Chunk]:
    """What a receiver's port hands over for `duration`, or until Ctrl+C."""
    set_up_logs(settings.logging)
    chunks: deque[Chunk] = deque(maxlen=CHUNKS_KEPT)
    seconds = int(duration.total_seconds())
    with (
        suppress(KeyboardInterrupt),
        listening(settings, folder, receiver, chunks.append),
        click.progressbar(
            range(seconds),
            label=f"Listening to {receiver.name} for {seconds} s; Ctrl+C ends it",
            file=sys.stderr,
            item_show_func=lambda _: f"{sum(len(c.content) for c in tuple(chunks))} bytes",
        ) as bar,
    ):
        for _ in bar:
            threading.Event().wait(1)
    return tuple(chunks)
