"""What was received, in numbers: bursts, packets, what each key and the bridge make of them.

`findings` says in words what is the matter.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from cw_mqtt.commands.analyze.key_test import AS_SENT, KeyTest, best_reordered, check_key
from cw_mqtt.commands.replay import replay
from cw_mqtt.config.keys import sensor_keys
from cw_mqtt.config.load import EXAMPLE_KEY
from cw_mqtt.config.settings import ReceiverSettings, Settings
from cw_mqtt.decode.framing import (
    LINE,
    STUCK_BLOCKS,
    Framer,
    StatusLine,
    checked_fields,
    payload_of,
)
from cw_mqtt.decode.packets import Keyring, SensorKey
from cw_mqtt.model import BLOCK_SIZE, SILENCE_S, Chunk

EXAMPLE = "(example key)"  # no slug of a sensor can be this
MOST_PACKETS = 500
TEXT = frozenset((*range(32, 127), *b"\r\n\t"))


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that findings are drawn from.

    `packets` are the different payloads, `whole_bursts` counts the bursts of one or more whole
    packets, `lines` those of the payloads that came in checked lines, `status_lines` those in
    which the receiver tells of itself. `timed`: times mean something. `counts` are the framer's,
    `verdicts` the bridge's by sensor. `key_tests` has all keys, with the published example key;
    `reordered` is the best of any key with reversed bytes.
    """

    timed: bool
    size: int
    starts_s: Sequence[float]
    longest_burst: int
    whole_bursts: int
    text_share: float
    lines: int
    packets: Sequence[bytes]
    status_lines: Sequence[StatusLine]
    counts: Mapping[str, int]
    verdicts: Mapping[str, Mapping[str, int]]
    key_tests: Sequence[KeyTest]
    reordered: KeyTest

    @property
    def configured(self) -> list[KeyTest]:
        """The tests of the configured keys."""
        return [test for test in self.key_tests if test.sensor != EXAMPLE]

    @property
    def fits(self) -> bool:
        """Whether some key opens packets as they are."""
        return any(test.is_sure for test in self.key_tests)

    @property
    def is_reordered(self) -> bool:
        """Whether no key opens packets as they are, and one does with bytes reversed."""
        return self.reordered.is_sure and not self.fits

    @property
    def unopened(self) -> int:
        """How many of the packets no key opens."""
        keys = zip(*(test.explained for test in self.key_tests), strict=True)
        return sum(not any(each.plausible or each.proof for each in one) for one in keys)

    @property
    def radio(self) -> str:
        """What a receiver with our firmware said last of its radio."""
        words = [line.fields[-1] for line in self.status_lines if line.kind in "HE" and line.fields]
        return words[-1] if words else "nothing"

    @property
    def interval_s(self) -> float:
        """The median time from one burst to the next; 0 with less than two."""
        return median(self._intervals_s()) if len(self.starts_s) > 1 else 0.0

    def pace(self) -> str:
        """How regularly bursts come, in words; empty where that is not known."""
        if not (self.timed and self.interval_s):
            return ""
        near_s = self.interval_s / 10
        regular = sum(abs(each - self.interval_s) <= near_s for each in self._intervals_s())
        count = len(self.starts_s) - 1
        return f", {regular} of {count} times within a tenth of {self.interval_s:.1f} s apart"

    def _intervals_s(self) -> list[float]:
        return [later - start for start, later in pairwise(self.starts_s)]


def analyze(
    chunks: Sequence[Chunk], settings: Settings, receiver: ReceiverSettings, *, timed: bool = True
) -> Case:
    """Put in numbers what a receiver has handed over."""
    keys = _all_keys(settings)
    framer = Framer(receiver.form, Keyring(keys, "", lambda _: ()).open)
    bursts = list(bursts_of(chunks))
    lines, status_lines = 0, list[StatusLine]()
    found: dict[bytes, None] = {}  # as a set that keeps its order
    for burst in bursts:
        pieces = [piece for chunk in (burst, _silence(burst)) for piece in framer.feed(chunk)]
        status_lines += [piece for piece in pieces if isinstance(piece, StatusLine)]
        opened = [each[0].packet.payload for each in pieces if not isinstance(each, StatusLine)]
        payloads = list(_line_payloads(burst.content))
        lines += len(payloads)
        found |= dict.fromkeys(payloads or _packets(burst.content, opened))
    packets = [payload for payload in found if payload not in STUCK_BLOCKS][:MOST_PACKETS]
    tried = framer.counts["skipped_bytes"] + len(packets)
    sizes = [len(burst.content) for burst in bursts]
    stream = Counter(b"".join(burst.content for burst in bursts))
    _, judged = replay(settings, chunks, receiver.name)
    return Case(
        timed=timed,
        size=sum(sizes),
        starts_s=[burst.monotonic_s for burst in bursts],
        longest_burst=max(sizes, default=0),
        whole_bursts=sum(size % BLOCK_SIZE == 0 for size in sizes),
        text_share=sum(stream[byte] for byte in TEXT) / max(1, sum(sizes)),
        lines=lines,
        packets=packets,
        status_lines=status_lines,
        counts=framer.counts,
        verdicts={slug: sensor["heard"] for slug, sensor in judged["sensors"].items()},
        key_tests=[check_key(packets, key, AS_SENT, tried) for key in keys],
        reordered=best_reordered(packets, keys, tried),
    )


def bursts_of(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """The chunks, joined where no silence parts them."""
    burst, last_s = None, 0.0
    for chunk in chunks:
        silent = not chunk.content or chunk.opened or chunk.monotonic_s - last_s >= SILENCE_S
        if burst and silent:
            yield burst
            burst = None
        if chunk.content:
            burst = replace(burst, content=burst.content + chunk.content) if burst else chunk
        last_s = chunk.monotonic_s
    if burst:
        yield burst


def _all_keys(settings: Settings) -> list[SensorKey]:
    """The configured keys, whichever receiver they are for, and the published example key."""
    keys = [replace(key, receivers=None) for key in sensor_keys(settings.sensors)]
    if all(key.key != EXAMPLE_KEY for key in keys):
        keys.append(SensorKey(EXAMPLE, EXAMPLE_KEY, max(key.max_power_w for key in keys)))
    return keys


def _silence(burst: Chunk) -> Chunk:
    return replace(burst, monotonic_s=burst.monotonic_s + SILENCE_S, content=b"", opened=False)


def _line_payloads(burst: bytes) -> Iterator[bytes]:
    for line in LINE.findall(burst):
        fields = checked_fields(line)
        payload = payload_of(fields) if fields else None
        if payload:
            yield payload


def _packets(burst: bytes, opened: Sequence[bytes]) -> Sequence[bytes]:
    """A burst's packets: every 16 bytes, unless those that open begin elsewhere."""
    whole = len(burst) % BLOCK_SIZE == 0
    starts = range(0, len(burst), BLOCK_SIZE) if whole else range(0)
    blocks = [burst[start : start + BLOCK_SIZE] for start in starts]
    return blocks if set(opened) <= set(blocks) else opened
