"""What a receiver accepted, measured by what was truly sent; and the rule of 2014 beside it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from itertools import pairwise

from Crypto.Cipher import AES

from cw_mqtt.model import Reading
from tests.simulate.air import Kind, Signal

Accepted = tuple[int, float]  # time in whole seconds, power in W
LATE_S = 1  # a burst that was split may be stamped in the next second


@dataclass(frozen=True, slots=True)
class Score:
    """How many packets of each sort were sent to a receiver, and how many it accepted.

    `honest` are those of the sensor that were heard and not settling, `provable` those of them
    with a neighbour in the chain that was heard too. Accepted hostile ones are told apart:
    `replayed` had been heard before, `late` are the sensor's own that were lost until they were
    sent again, `forged` no sensor ever sent. `repeated` are those accepted twice when
    the radio repeated them, `settling` those whose power is wrong.
    """

    honest: int
    provable: int
    hostile: int
    accepted: int
    settling: int
    repeated: int
    replayed: int
    late: int
    forged: int

    @property
    def share(self) -> float:
        """The share of the honest ones that was accepted."""
        return self.accepted / self.honest

    @property
    def deceived(self) -> int:
        """How many were accepted that must never be."""
        return self.settling + self.repeated + self.replayed + self.forged

    def __add__(self, other: "Score") -> "Score":
        return Score(*(sum(pair) for pair in zip(astuple(self), astuple(other), strict=True)))


def score(signals: Iterable[Signal], accepted: Iterable[Accepted], slug: str = "main") -> Score:
    """Measure what was accepted as of sensor `slug` by all that was on the air."""
    signals = list(signals)
    own = [s for s in signals if s.sender == slug and s.kind is Kind.PACKET]
    honest = [s for s in own if not s.lost and not s.settling]
    settling = [s for s in own if s.settling and not s.lost]
    sorts = {"accepted": honest, "settling": settling, **told_apart(signals)}
    counts = matched(accepted, sorts)
    hostile = sum(not s.lost and s.kind not in (Kind.PACKET, Kind.REPEAT) for s in signals)
    return Score(len(honest), provable(own), hostile, **counts)


def told_apart(signals: Iterable[Signal]) -> dict[str, list[Signal]]:
    """Packets that were sent again, by what they were to the receiver."""
    again: dict[str, list[Signal]] = {"late": [], "replayed": [], "repeated": []}
    heard: set[bytes] = set()
    for signal in signals:
        if signal.lost:
            continue
        if signal.kind.replayed or signal.kind is Kind.REPEAT:
            known = "replayed" if signal.kind.replayed else "repeated"
            again[known if signal.payload in heard else "late"].append(signal)
        heard.add(signal.payload)
    return again


def provable(own: list[Signal]) -> int:
    """How many heard and settled packets have a heard neighbour in the same boot."""
    proven: set[int] = set()
    for first, (before, after) in enumerate(pairwise(own)):
        if not before.lost and not after.lost and after.place == before.place + 1:
            proven |= {first, first + 1}
    return sum(not own[place].settling for place in proven)


def matched(accepted: Iterable[Accepted], sorts: dict[str, list[Signal]]) -> dict[str, int]:
    """How much of what was accepted is of each sort, the first that fits; `forged` fits none."""
    expected: dict[Accepted, list[str]] = defaultdict(list)
    for sort, signals in reversed(sorts.items()):
        for signal in signals:
            expected[int(signal.ts), signal.power_w].append(sort)
    counts = dict.fromkeys((*sorts, "forged"), 0)
    for ts, power_w in accepted:
        places = [(ts - late_s, power_w) for late_s in range(LATE_S + 1)]
        found = next((place for place in places if expected.get(place)), None)
        counts[expected[found].pop() if found else "forged"] += 1
    return counts


def accepted_readings(readings: Iterable[Reading]) -> Iterator[Accepted]:
    """What the bridge accepted."""
    return ((reading.ts, reading.power_w) for reading in readings)


def accepted_by_2014_rule(signals: Iterable[Signal], key: bytes) -> Iterator[Accepted]:
    """What a receiver accepts that asks only one thing: the timer must not go down."""
    decrypt, newest_ms = AES.new(key, AES.MODE_ECB).decrypt, 0
    for signal in signals:
        plain = decrypt(signal.payload)
        timer_ms = int.from_bytes(plain[6:10], "little")
        if not signal.lost and timer_ms >= newest_ms:
            newest_ms = timer_ms
            yield int(signal.ts), int.from_bytes(plain[:2], "little")
