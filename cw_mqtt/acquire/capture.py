"""Captures: what a receiver heard, as text that people can read, compare and cut.

    {"cwcap": 1, "receiver": "hall", "started": "2026-11-22T22:33:15.250+00:00"}
    0.000 open 4e8c318a0979728c76971ccc6db512d7
    0.046 -
    8.922 bf5a1651f804b62175b81f23891d1886

The first line is JSON. Each other line is a chunk: seconds since the start, `open` if the port
had just been opened, and the bytes as hex; `-` says that the line fell silent.
"""

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from cw_mqtt.errors import ResourceAwayError, UsageError, with_remedy
from cw_mqtt.model import Chunk

VERSION = 1
LINE = re.compile(rb"(\d{1,12}\.\d{3}) (open )?(-|(?:[0-9a-f]{2})+)\r?\n")


class CaptureWriter(AbstractContextManager["CaptureWriter"]):
    """Writes chunks to a new file as they come; each line is in the file at once.

    `started_ts` and `started_s` are the wall clock and the monotonic clock of one moment, from
    which the chunks' times are counted.
    Raises `UsageError` when the file is there already or cannot be made, `ResourceAwayError` when
    it cannot grow.
    """

    def __init__(self, path: Path, receiver: str, started_ts: float, started_s: float) -> None:
        self._path = path
        self._started_s = started_s
        started = datetime.fromtimestamp(started_ts, UTC).isoformat(timespec="milliseconds")
        try:
            self._file = path.open("xb", buffering=0)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from error
        header = {"cwcap": VERSION, "receiver": receiver, "started": started}
        self._add(json.dumps(header))

    def write(self, chunk: Chunk) -> None:
        """Add a chunk."""
        offset_s = max(0.0, chunk.monotonic_s - self._started_s)
        mark = "open " if chunk.opened else ""
        self._add(f"{offset_s:.3f} {mark}{chunk.content.hex() or '-'}")

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def _add(self, line: str) -> None:
        try:
            self._file.write(f"{line}\n".encode("ascii"))
        except OSError as error:
            raise ResourceAwayError(
                f"cannot write {self._path}: {with_remedy(str(error.strerror))}"
            ) from error


def read_capture(path: Path) -> Iterator[Chunk]:
    """The chunks of a capture; their `monotonic_s` are the seconds since its start.

    A last line without its end is left out: the recording was cut off in it.
    Raises `UsageError`, with the number of the line, for a file that cannot be read.
    """
    try:
        with path.open("rb") as file:
            receiver, started_ts = parse_header(path, file.readline())
            for number, line in enumerate(file, start=2):
                if line.endswith(b"\n"):
                    offset_s, content, opened = parse_line(path, number, line)
                    yield Chunk(receiver, started_ts + offset_s, offset_s, content, opened)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def parse_header(path: Path, line: bytes) -> tuple[str, float]:
    """The receiver and the start, from a capture's first line."""
    try:
        header = json.loads(line)
        version, receiver = header["cwcap"], header["receiver"]
        started_ts = datetime.fromisoformat(header["started"]).timestamp()
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise UsageError(f"{path}:1: expected the header of a capture") from error
    if version != VERSION:
        raise UsageError(f"{path}:1: a capture of form {version}; this cw-mqtt reads {VERSION}")
    return str(receiver), started_ts


def parse_line(path: Path, number: int, line: bytes) -> tuple[float, bytes, bool]:
    """Seconds since the start, content, and whether just opened, from one of the other lines."""
    match = LINE.fullmatch(line)
    if match is None:
        raise UsageError(f"{path}:{number}: expected seconds with 3 decimals, then hex digits or -")
    offset_s, opened, content = match.groups()
    return float(offset_s), bytes.fromhex(content.decode().strip("-")), opened is not None
