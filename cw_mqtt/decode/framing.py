"""A receiver's bytes -> payloads of 16 bytes that a configured key opens.

Two forms are told apart by themselves: raw bursts of 16 bytes without any mark (the receiver
board of 2014), and the lines of our own receiver:

    CW1 P <seq> <pipe> <32 hex> <rpd> *CCCC\\n

CCCC is CRC-16 (polynomial 0x1021, start 0xFFFF) over everything before ` *`. Raw bytes are
aligned by decryption: a block that opens is a frame; after a miss the window slides by one byte.

A checksum proves nothing: through a raw receiver anybody can send bytes that are a line. So raw
blocks are looked for whatever lines were read, and lines no more once a raw block was proven.
"""

import binascii
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from cw_mqtt.decode.packets import Decrypted
from cw_mqtt.model import BLOCK_SIZE, SILENCE_S, Chunk

LINE_START = b"CW1 "
LINE = re.compile(rb"CW1 [ -~]{0,96}\r?\n")
LINE_BEGUN = re.compile(rb"CW1 [ -~]{0,96}\r?")
FORGET_RAW_AFTER = 1024  # bytes without a proven block: the board behind the port was changed
# what a receiver sends whose radio's data line is stuck low or high
STUCK_BLOCKS = {bytes(BLOCK_SIZE): "zeros", b"\xff" * BLOCK_SIZE: "ones"}

Decryptions = tuple[
    Decrypted, ...
]  # a payload under the key that proves it, or all it may be under
Open = Callable[[bytes], Decryptions]


@dataclass(frozen=True, slots=True)
class StatusLine:
    """A line in which the receiver tells of itself: kind H, S or E, or one not known yet."""

    kind: str
    fields: tuple[str, ...]


class Framer:
    """Cuts the stream of one receiver.

    `counts` holds what was passed over: `skipped_bytes`, `zeros` and `ones` (blocks of a stuck
    radio), `crc_errors`, `lost_on_cable` (by the lines' sequence numbers), `undecryptable`
    (lines' payloads and whole bursts that no key opened).
    """

    def __init__(self, form: Literal["auto", "lines", "raw"], open_block: Open) -> None:
        self._form = form
        self._open = open_block
        self.counts: Counter[str] = Counter()
        self._last_s = float("-inf")
        self._burst_bytes = 0
        self._reset()

    def feed(self, chunk: Chunk) -> Iterator[Decryptions | StatusLine]:
        """Cut what a chunk completes.

        Lazy: each payload must be judged before the next is asked for, since whether the next
        one opens as proven depends on it.
        """
        if chunk.opened:
            self._reset()
        silent = not chunk.content or chunk.monotonic_s - self._last_s >= SILENCE_S
        if silent:
            yield from self._cut(complete=True)
            self._end_burst()
        self._last_s = chunk.monotonic_s
        self._buffer += chunk.content
        self._burst_bytes += len(chunk.content)
        yield from self._cut(complete=False)

    def _reset(self) -> None:
        self._buffer = bytearray()
        self._last_s = float("-inf")
        self._starts: deque[int] = deque([0])  # where bursts begin in the buffer
        self._burst_bytes = 0
        self._burst_cuts = 0
        self._is_raw = self._form == "raw"
        self._since_proven = 0
        self._next_seq: int | None = None

    def _end_burst(self) -> None:
        if not self._burst_cuts and self._burst_bytes >= BLOCK_SIZE and self._form != "lines":
            self.counts["undecryptable"] += self._burst_bytes // BLOCK_SIZE
        self._burst_bytes = self._burst_cuts = 0
        if not self._starts or self._starts[-1] != len(self._buffer):
            self._starts.append(len(self._buffer))

    def _cut(self, *, complete: bool) -> Iterator[Decryptions | StatusLine]:
        """Cut from the front until more bytes are needed; `complete`: none belong to these."""
        while self._buffer:
            if not self._is_raw and self._buffer.startswith(LINE_START):
                line = line_at(self._buffer, 0)
                if line is None and LINE_BEGUN.fullmatch(self._buffer):
                    return
                if line and not complete and self._is_cut_short(line.size):
                    return
                if line and not self._hides_block(line.size):
                    yield from self._cut_line(line)
                    continue
            if self._form == "lines":
                if not self._skip_to_line():
                    return
                continue
            if len(self._buffer) < BLOCK_SIZE:
                return
            block = bytes(self._buffer[:BLOCK_SIZE])
            if block in STUCK_BLOCKS:
                self.counts[STUCK_BLOCKS[block]] += 1
                self._burst_cuts += 1
                self._drop(BLOCK_SIZE, aligned=True)
                continue
            opened = self._open(block)
            if not opened or self._has_better(opened):
                self._skip_byte()
            elif self._is_certain(opened) or complete or len(self._buffer) >= 2 * BLOCK_SIZE - 1:
                self._burst_cuts += 1
                self._drop(BLOCK_SIZE, aligned=True)
                if is_proven(opened):
                    self._is_raw, self._since_proven = True, 0
                yield opened
            else:
                return

    def _is_cut_short(self, size: int) -> bool:
        """Whether a burst begins in a line, of which too little is there to tell what it is."""
        starts = (start for start in self._starts if 0 < start < size)
        return any(start + BLOCK_SIZE > len(self._buffer) for start in starts)

    def _hides_block(self, size: int) -> bool:
        """Whether a burst that begins in a line is a packet, and the line was made up."""
        return any(self._open_at(start) for start in self._starts if 0 < start < size)

    def _is_certain(self, opened: Decryptions) -> bool:
        return is_proven(opened) or 0 in self._starts

    def _has_better(self, opened: Decryptions) -> bool:
        """Whether a block or line that overlaps this merely plausible one is surer than it."""
        if is_proven(opened):
            return False
        aligned = 0 in self._starts
        for start in range(1, BLOCK_SIZE):
            if not self._is_raw and line_at(self._buffer, start):
                return True
            other = self._open_at(start)
            if is_proven(other) or (other and (start in self._starts and not aligned)):
                return True
        return False

    def _open_at(self, start: int) -> Decryptions:
        block = bytes(self._buffer[start : start + BLOCK_SIZE])
        return self._open(block) if len(block) == BLOCK_SIZE else ()

    def _skip_byte(self) -> None:
        if not self._is_raw and self._buffer.startswith(LINE_START):  # and yet no line
            self.counts["crc_errors"] += 1
            self._burst_cuts += 1
        self.counts["skipped_bytes"] += 1
        self._drop(1)

    def _drop(self, count: int, *, aligned: bool = False) -> None:
        """Drop bytes from the front; `aligned`: a burst may begin right behind them."""
        del self._buffer[:count]
        self._since_proven += count
        if self._since_proven > FORGET_RAW_AFTER:
            self._is_raw = self._form == "raw"
        self._starts = deque(start - count for start in self._starts if start >= count)
        if aligned and (not self._starts or self._starts[0] != 0):
            self._starts.appendleft(0)

    def _cut_line(self, line: "Line") -> Iterator[Decryptions | StatusLine]:
        self._burst_cuts += 1
        self._drop(line.size, aligned=True)
        payload = payload_of(line.fields)
        if payload is None:
            yield StatusLine(line.fields[0], line.fields[1:])
        else:
            self._count_lost(int(line.fields[1]))
            yield from self._cut_payload(payload)

    def _cut_payload(self, payload: bytes) -> Iterator[Decryptions]:
        opened = self._open(payload)
        if payload in STUCK_BLOCKS:
            self.counts[STUCK_BLOCKS[payload]] += 1
        elif not opened:
            self.counts["undecryptable"] += 1
        else:
            yield opened

    def _count_lost(self, seq: int) -> None:
        if self._next_seq is not None:
            self.counts["lost_on_cable"] += (seq - self._next_seq) % 256
        self._next_seq = (seq + 1) % 256

    def _skip_to_line(self) -> bool:
        """Drop what is no line, such as a boot text; whether a line may now begin the buffer."""
        if self._buffer.startswith(LINE_START):
            self._skip_byte()
        start = self._buffer.find(LINE_START)
        self._drop(start if start >= 0 else len(self._buffer) - common_end(self._buffer))
        return start >= 0


def is_proven(opened: Decryptions) -> bool:
    """Whether a key proves the payload."""
    return bool(opened) and opened[0].proven


class Line(NamedTuple):
    """A line in the buffer: how many bytes it has, its end too, and the fields after `CW1`."""

    size: int
    fields: tuple[str, ...]


def line_at(buffer: bytearray, start: int) -> Line | None:
    """The line with a right checksum that begins at a place."""
    match = LINE.match(buffer, start)
    fields = checked_fields(match.group()) if match else None
    return Line(match.end() - start, fields) if match and fields else None


def common_end(buffer: bytearray) -> int:
    """How many of the last bytes may be the beginning of a line."""
    return next(n for n in range(len(LINE_START) - 1, -1, -1) if buffer.endswith(LINE_START[:n]))


def checked_fields(line: bytes) -> tuple[str, ...] | None:
    """The fields after `CW1` of a line whose checksum is right, else None."""
    body, mark, crc = line.rstrip(b"\r\n").rpartition(b" *")
    if not mark or crc.upper() != b"%04X" % binascii.crc_hqx(body, 0xFFFF):
        return None
    fields = body.decode("ascii", "replace").split()[1:]
    return tuple(fields) if fields else None


def payload_of(fields: tuple[str, ...]) -> bytes | None:
    """The payload of a P line, None for any other kind or a malformed one."""
    if len(fields) < 4 or fields[0] != "P" or not fields[1].isdecimal():
        return None
    try:
        payload = bytes.fromhex(fields[3])
    except ValueError:
        return None
    return payload if len(payload) == BLOCK_SIZE else None
