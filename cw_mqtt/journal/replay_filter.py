"""Everything ever heard, in bounded memory: Bloom filters, each a file beside the journal.

What was heard of late is in memory, and in the journal's rows, until it is written to a filter.

A payload is ciphertext, so its own bits serve as the hashes: 4 bytes choose a block, the other
12 give eight bit numbers in it. A filter takes two million payloads, half a sensor's year, in
10 MB; then the next one begins, and of many the oldest is forgotten. A payload that was never
heard is taken for a known one once in a million times for each full filter; that costs an honest
sensor one packet. Each block begins with its checksum: one that was damaged begins anew, alone.
"""

import logging
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from cw_mqtt.model import BLOCK_SIZE

log = logging.getLogger(__name__)

BLOCKS = 20_480
BLOCK_BYTES = 512
CHECKSUM_BYTES = 4
BITS = (BLOCK_BYTES - CHECKSUM_BYTES) * 8
BITS_A_PAYLOAD = 8
BIT_NUMBER_SIZE = 12
PAYLOADS_A_FILTER = 2_000_000
MOST_FILTERS = 40
NAME = "heard."
HEARD_AT_ONCE = 20_000  # payloads; a filter is then written almost whole
MOST_RECENT = 500_000  # where no filter can be written


class ReplayFilter:
    """All payloads that were heard: those of late, and those in the filters of a folder.

    `recent` are those of late, any number of them joined.
    """

    def __init__(self, folder: Path, recent: Iterable[bytes]) -> None:
        self._recent = {
            payloads[start : start + BLOCK_SIZE]
            for payloads in recent
            for start in range(0, len(payloads), BLOCK_SIZE)
        }
        self._due_at = HEARD_AT_ONCE
        self._filters = Filters(folder)

    @property
    def is_due(self) -> bool:
        """Whether there are enough payloads of late to write them."""
        return len(self._recent) >= self._due_at

    def close(self) -> None:
        """Close the filters' files."""
        self._filters.close()

    def add(self, payloads: Iterable[bytes]) -> None:
        """Take payloads that have just been heard."""
        self._recent.update(payloads)

    def knows(self, payload: bytes) -> bool:
        """Whether a payload was heard, or looks as if."""
        return payload in self._recent or self._filters.know(payload)

    def write(self) -> bool:
        """Write those of late to a filter, and say whether they are; if not, it is not soon due."""
        if len(self._recent) > MOST_RECENT:
            self._recent.clear()
        self._due_at = 2 * len(self._recent)
        return self._filters.remember(self._recent)

    def forget_recent(self) -> None:
        """Let go of those of late, which are written."""
        self._recent.clear()
        self._due_at = HEARD_AT_ONCE


class Filters:
    """The filters in a folder, the newest last; what the disk refuses is said once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._said = False
        numbers = (path.suffix[1:] for path in folder.glob(f"{NAME}*"))
        self._filters: list[Filter] = []
        for number in sorted(int(number) for number in numbers if number.isdecimal()):
            with self._saying():
                self._filters.append(Filter(folder / f"{NAME}{number}"))

    def close(self) -> None:
        """Close the files."""
        while self._filters:
            self._filters.pop().close()

    def know(self, payload: bytes) -> bool:
        """Whether a payload of 16 bytes was remembered, or looks as if."""
        block, mask = place(payload)
        with self._saying():
            return any(each.read(block) & mask == mask for each in self._filters)
        return False

    def remember(self, payloads: Iterable[bytes]) -> bool:
        """Remember payloads for good, and say whether they are; again changes nothing."""
        places = sorted(map(place, payloads))
        with self._saying():
            if not self._filters or self._filters[-1].count() >= PAYLOADS_A_FILTER:
                self._begin_filter()
            newest = self._filters[-1]
            for block, group in groupby(places, key=lambda each: each[0]):
                bits = newest.read(block)
                for _, mask in group:
                    bits |= mask
                newest.write(block, bits)
            newest.write(BLOCKS, newest.count() + len(places))
            newest.sync()
            return True
        return False

    @contextmanager
    def _saying(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._said:
                log.error("repeated packets may not be noticed: %s", error)
            self._said = True

    def _begin_filter(self) -> None:
        number = int(self._filters[-1].path.suffix[1:]) + 1 if self._filters else 1
        self._filters.append(Filter(self._folder / f"{NAME}{number}"))
        for oldest in self._filters[:-MOST_FILTERS]:
            oldest.close()
            oldest.path.unlink(missing_ok=True)
        del self._filters[:-MOST_FILTERS]


class Filter:
    """A file of blocks; one more at the end has the number of payloads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._said = False
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if os.fstat(self._file).st_size == 0:
            os.write(self._file, block_of(0) * (BLOCKS + 1))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def count(self) -> int:
        """How many payloads it has."""
        return self.read(BLOCKS)

    def read(self, block: int) -> int:
        """The bits of a block; none if it is not as it was written."""
        content = os.pread(self._file, BLOCK_BYTES, block * BLOCK_BYTES)
        bits = int.from_bytes(content[CHECKSUM_BYTES:])
        if content == block_of(bits):
            return bits
        if not self._said:
            log.error("%s was damaged; what its damaged blocks had is forgotten", self.path)
        self._said = True
        self.write(block, 0)
        return 0

    def write(self, block: int, bits: int) -> None:
        """Replace the bits of a block."""
        os.pwrite(self._file, block_of(bits), block * BLOCK_BYTES)

    def sync(self) -> None:
        """Have everything that was written on the disk."""
        os.fsync(self._file)


def place(payload: bytes) -> tuple[int, int]:
    """The block that a payload falls into, and the mask of its bits there."""
    block = int.from_bytes(payload[:4]) % BLOCKS
    rest = int.from_bytes(payload[4:])
    mask = 0
    for number in range(BITS_A_PAYLOAD):
        mask |= 1 << (rest >> number * BIT_NUMBER_SIZE & (1 << BIT_NUMBER_SIZE) - 1) % BITS
    return block, mask


def block_of(bits: int) -> bytes:
    """A block with its checksum, which zeros do not have."""
    content = bits.to_bytes(BLOCK_BYTES - CHECKSUM_BYTES)
    return zlib.crc32(content, 1).to_bytes(CHECKSUM_BYTES) + content
