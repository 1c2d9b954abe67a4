"""What a bad cable, a USB adapter or a reset of the board makes of a receiver's bursts.

Pure: randomness comes in as an argument.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import StrEnum
from itertools import count
from random import Random

from cw_mqtt.model import SILENCE_S, Chunk
from cw_mqtt.simulate.firmware import receiver_line
from tests.simulate.air import Signal

BOOT_TEXT = b"CitizenWatt receiver ready\r\n"
SPLIT_S = 0.016  # what a USB adapter may hold the rest of a burst back
NOISE_BYTES = (1, 40)


class Fault(StrEnum):
    """What a bad cable, a USB adapter or a reset of the board does to a burst of bytes."""

    LOST_BYTE = "lost byte"
    INSERTED_BYTE = "inserted byte"
    SPLIT = "split"
    NOISE = "noise"
    BOOT_TEXT = "boot text"


def spoil(content: bytes, fault: Fault, random: Random) -> list[tuple[float, bytes]]:
    """What is read in place of a burst, each piece with the seconds since the burst began."""
    at = random.randrange(1, len(content))
    match fault:
        case Fault.LOST_BYTE:
            return [(0.0, content[: at - 1] + content[at:])]
        case Fault.INSERTED_BYTE:
            return [(0.0, content[:at] + random.randbytes(1) + content[at:])]
        case Fault.SPLIT:
            return [(0.0, content[:at]), (SPLIT_S, content[at:])]
        case Fault.NOISE:
            noise = random.randbytes(random.randint(*NOISE_BYTES))
            return [(0.0, content), (2 * SILENCE_S, noise)]
        case Fault.BOOT_TEXT:
            return [(0.0, BOOT_TEXT + content)]


class Cable:
    """A receiver's line, on which a share of the bursts suffers a fault.

    The receiver writes raw payloads, as the board of 2014, or `lines`, as ours.
    """

    def __init__(
        self, receiver: str, random: Random, share: float = 0.0, *, lines: bool = False
    ) -> None:
        self._receiver, self._random, self._share = receiver, random, share
        self._numbers = count() if lines else None

    def carry(self, signals: Iterable[Signal]) -> Iterator[tuple[Signal, list[Chunk]]]:
        """Each signal, lost if it can no longer be read, with the chunks that are read for it."""
        for signal in signals:
            if signal.lost:
                yield signal, []
                continue
            content = self._written(signal.payload)
            pieces = self._pieces(content)
            whole = content in b"".join(piece for _, piece in pieces)
            yield replace(signal, lost=not whole), list(self._chunks(signal.ts, pieces))

    def _written(self, payload: bytes) -> bytes:
        return receiver_line(next(self._numbers), payload) if self._numbers else payload

    def _pieces(self, content: bytes) -> list[tuple[float, bytes]]:
        if self._random.random() >= self._share:
            return [(0.0, content)]
        return spoil(content, self._random.choice(list(Fault)), self._random)

    def _chunks(self, ts: float, pieces: list[tuple[float, bytes]]) -> Iterator[Chunk]:
        """The pieces as they are read, and the silence behind them."""
        silent_s = pieces[-1][0] + SILENCE_S
        for after_s, content in (*pieces, (silent_s, b"")):
            yield Chunk(self._receiver, ts + after_s, ts + after_s, content)
