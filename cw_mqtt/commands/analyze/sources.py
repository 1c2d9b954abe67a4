"""What `cw-mqtt analyze` looks at: a capture, hex digits, or a receiver's port."""

import sys
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

import click

from cw_mqtt.acquire.capture import read_capture
from cw_mqtt.commands.captures import listening, receiver_named, receiver_of
from cw_mqtt.config.settings import Settings
from cw_mqtt.decode.keys import refuse_keys, sensor_keys
from cw_mqtt.errors import UsageError
from cw_mqtt.model import BLOCK_SIZE, Chunk
from cw_mqtt.runtime.logs import set_up_logs

MOST_CHUNKS = 100_000  # of a port that is listened to for long, the newest: half a week of packets
HEX_APART_S = 60.0  # packets given as hex have no times; this explains some lost between them


@dataclass(frozen=True, slots=True)
class Listened:
    """Chunks, in which form they may be, and whether their times mean anything."""

    chunks: Sequence[Chunk]
    form: Literal["auto", "lines", "raw"] = "auto"
    timed: bool = True


def hear(
    settings: Settings,
    folder: Path,
    sources: Sequence[str],
    receiver: str | None,
    duration: timedelta,
) -> Listened:
    """The chunks of a capture, of hex digits, or without either of a configured receiver.

    Raises `UsageError` for what is none of them.
    """
    if not sources:
        return hear_port(settings, folder, receiver, duration)
    if len(sources) == 1 and is_file(sources[0]):
        chunks = list(read_capture(Path(sources[0])))
        return Listened(chunks, receiver_named(receiver_of(chunks, settings), settings).form)
    contents = parse_hex(sources)
    refuse_keys(b"".join(contents), sensor_keys(settings.sensors))
    times = ((number * HEX_APART_S, content) for number, content in enumerate(contents))
    return Listened([Chunk("", at_s, at_s, content) for at_s, content in times], timed=False)


def is_file(text: str) -> bool:
    """Whether there is a file of this name; a long stream of hex digits can be no name."""
    try:
        return Path(text).exists()
    except OSError:
        return False


def parse_hex(texts: Sequence[str]) -> list[bytes]:
    """Packets, if each text has 32 hex digits; else one stream of bytes. Raises `UsageError`."""
    try:
        contents = [bytes.fromhex(text) for text in texts]
    except ValueError as error:  # the text is not shown: it may be a key
        raise UsageError("SOURCE: expected a capture that exists, or hex digits") from error
    whole = all(len(content) == BLOCK_SIZE for content in contents)
    return contents if whole else [b"".join(contents)]


def hear_port(
    settings: Settings, folder: Path, receiver: str | None, duration: timedelta
) -> Listened:
    """Listen to a receiver's port for `duration`, or until Ctrl+C."""
    set_up_logs(settings.logging)
    chosen = receiver_named(receiver, settings)
    chunks: deque[Chunk] = deque(maxlen=MOST_CHUNKS)
    seconds = int(duration.total_seconds())
    with (
        suppress(KeyboardInterrupt),
        listening(settings, folder, chosen, chunks.append),
        click.progressbar(
            range(seconds),
            label=f"Listening to {chosen.name} for {seconds} s; Ctrl+C ends it",
            file=sys.stderr,
            item_show_func=lambda _: f"{sum(len(c.content) for c in tuple(chunks))} bytes",
        ) as bar,
    ):
        for _ in bar:
            threading.Event().wait(1)
    return Listened(tuple(chunks), chosen.form)
