"""What was heard, put in numbers: bursts, packets, what each key makes of them, and chance.

Pure: chunks and keys in, one `Case` out. `findings` says in words what is the matter.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Literal

from cw_mqtt.commands.analyze.trial import AS_SENT, Trial, best_respelling, try_key
from cw_mqtt.decode.framing import (
    LINE,
    STUCK_BLOCKS,
    Framer,
    Openings,
    Told,
    checked_fields,
    payload_of,
)
from cw_mqtt.decode.packets import Keyring, Opened, SensorKey, fingerprint
from cw_mqtt.decode.verify import judge, tails
from cw_mqtt.model import BLOCK_SIZE, SILENCE_S, Chain, Chunk, Heard, Kept, Verdict

EXAMPLE = "(example key)"  # no slug of a sensor can be this
MOST_BLOCKS = 500
REPEAT_S = 5.0
TEXT = frozenset((*range(32, 127), *b"\r\n\t"))
RawOrLines = Literal["auto", "lines", "raw"]


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that explanations are drawn from.

    `blocks` are the different payloads, `whole_bursts` counts the bursts of one or more whole
    packets, `lines` those of the payloads that came in checked lines; `offsets` counts where in
    their bursts the packets begin that open. `timed` says whether times mean anything. `trials`
    are all keys as they are, `respelled` is the best of any key with reversed bytes; `example`
    is the fingerprint of the published example key.
    """

    timed: bool
    example: str
    size: int
    starts_s: tuple[float, ...]
    longest_burst: int
    whole_bursts: int
    lines: int
    blocks: tuple[bytes, ...]
    offsets: Mapping[int, int]
    counts: Mapping[str, int]
    told: tuple[Told, ...]
    verdicts: Mapping[str, Mapping[Verdict, int]]
    trials: tuple[Trial, ...]
    respelled: Trial
    entropy_bits: float
    text_share: float

    @property
    def configured(self) -> list[Trial]:
        """The trials of the configured keys."""
        return [trial for trial in self.trials if trial.sensor != EXAMPLE]

    @property
    def unopened(self) -> int:
        """How many of the packets no key opens."""
        keys = zip(*(trial.explained for trial in self.trials), strict=True)
        return sum(not any(each.plausible or each.proof for each in one) for one in keys)

    @property
    def interval_s(self) -> float:
        """The median time from one burst to the next; 0 with less than two."""
        return median(self._intervals_s()) if len(self.starts_s) > 1 else 0.0

    @property
    def regular(self) -> int:
        """How many of those times are within a tenth of it."""
        near_s = self.interval_s / 10
        return sum(abs(each - self.interval_s) <= near_s for each in self._intervals_s())

    def pace(self) -> str:
        """How regularly bursts come, in words; empty where that is not known."""
        if not (self.timed and self.interval_s):
            return ""
        count = len(self.starts_s) - 1
        return f", {self.regular} of {count} times within a tenth of {self.interval_s:.1f} s apart"

    def _intervals_s(self) -> list[float]:
        return [later - start for start, later in pairwise(self.starts_s)]


def analyze(
    chunks: Iterable[Chunk],
    keys: Sequence[SensorKey],
    form: RawOrLines,
    example_key: bytes,
    *,
    timed: bool = True,
) -> Case:
    """Put in numbers what was heard; `example_key` is tried too if it is not configured."""
    keys = [replace(key, receivers=None) for key in keys]
    if all(key.key != example_key for key in keys):
        keys.append(SensorKey(EXAMPLE, example_key, max(key.max_power_w for key in keys)))
    bursts = list(bursts_of(chunks))
    listener = Listener(keys, form)
    for burst in bursts:
        listener.hear(burst)
    stream = b"".join(burst.content for burst in bursts)
    sizes = [len(burst.content) for burst in bursts]
    blocks = tuple(listener.blocks)[:MOST_BLOCKS]
    tried = listener.framer.counts["skipped_bytes"] + len(blocks)
    return Case(
        timed,
        fingerprint(example_key),
        len(stream),
        tuple(burst.monotonic_s for burst in bursts),
        max(sizes, default=0),
        sum(size % BLOCK_SIZE == 0 for size in sizes),
        listener.lines,
        blocks,
        listener.offsets,
        listener.framer.counts,
        tuple(listener.told),
        listener.verdicts,
        tuple(try_key(blocks, key, AS_SENT, tried) for key in keys),
        best_respelling(blocks, keys, tried),
        entropy_bits(stream),
        sum(byte in TEXT for byte in stream) / max(1, len(stream)),
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


class Listener:
    """Takes bursts on the way that the bridge takes them, and notes what comes of them."""

    def __init__(self, keys: Sequence[SensorKey], form: RawOrLines) -> None:
        self._chains = {key.sensor: Chain() for key in keys}
        self._kept: dict[str, Kept] = defaultdict(Kept)
        self._heard_ts: dict[bytes, float] = {}
        self._before = b""  # the burst before: a packet may begin in it
        self.framer = Framer(form, Keyring(keys, "", self._expected).open)
        self.blocks: dict[bytes, None] = {}  # as a set that keeps its order
        self.offsets: Counter[int] = Counter()
        self.told: list[Told] = []
        self.lines = 0
        self.verdicts: dict[str, Counter[Verdict]] = {each: Counter() for each in self._chains}

    def hear(self, burst: Chunk) -> None:
        """Take a burst, and the silence behind it."""
        silence_s = burst.monotonic_s + SILENCE_S
        silence = replace(burst, monotonic_s=silence_s, content=b"", opened=False)
        opened: list[bytes] = []
        for piece in (piece for chunk in (burst, silence) for piece in self.framer.feed(chunk)):
            if isinstance(piece, Told):
                self.told.append(piece)
            else:
                self._judge(piece, burst.heard_ts)
                opened.append(piece[0].packet.payload)
        payloads = line_payloads(burst.content)
        self.lines += len(payloads)
        for payload in opened if not payloads else ():
            at = (self._before + burst.content).find(payload)
            place = at if at < len(self._before) else at - len(self._before)
            self.offsets[place % BLOCK_SIZE] += 1
        self._before = burst.content
        for block in payloads or whole_blocks(burst.content, opened):
            if block not in STUCK_BLOCKS:
                self.blocks[block] = None

    def _expected(self, opened: Opened) -> Iterator[bytes]:
        return tails((self._chains[sensor] for sensor in opened.sensors), self._kept[opened.key])

    def _judge(self, openings: Openings, heard_ts: float) -> None:
        payload = openings[0].packet.payload
        if payload in self._heard_ts:
            soon = abs(heard_ts - self._heard_ts[payload]) <= REPEAT_S
            verdict = Verdict.DUPLICATE if soon else Verdict.REPLAYED
            self.verdicts[openings[0].sensors[0]][verdict] += 1
            return
        self._heard_ts[payload] = heard_ts
        for opened in openings:
            chains = {sensor: self._chains[sensor] for sensor in opened.sensors}
            kept = self._kept[opened.key]
            judgement = judge(chains, kept, Heard(opened.packet, heard_ts))
            self._chains.update(judgement.chains)
            self._kept[opened.key] = judgement.kept
            for ruling in judgement.rulings:
                self.verdicts[ruling.sensor][ruling.verdict] += 1


def line_payloads(burst: bytes) -> list[bytes]:
    """The payloads of a burst's lines, whose checksums are right."""
    fields = (checked_fields(line) for line in LINE.findall(burst))
    payloads = (payload_of(each) for each in fields if each)
    return [payload for payload in payloads if payload]


def whole_blocks(burst: bytes, opened: Sequence[bytes]) -> Sequence[bytes]:
    """A burst's packets: every 16 bytes, unless those that open begin elsewhere."""
    whole = len(burst) % BLOCK_SIZE == 0
    starts = range(0, len(burst), BLOCK_SIZE) if whole else range(0)
    blocks = [burst[start : start + BLOCK_SIZE] for start in starts]
    return blocks if set(opened) <= set(blocks) else opened


def entropy_bits(stream: bytes) -> float:
    """The entropy of the bytes, in bits a byte: at most 8, and at most log2 of their number."""
    shares = [count / len(stream) for count in Counter(stream).values()]
    return -sum(share * math.log2(share) for share in shares)
