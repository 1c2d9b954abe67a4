"""What lies between sensors and a receiver: loss, neighbours, attackers.

Every packet on the air is a `Signal` and knows the truth about itself. Streams of signals are
in order of time; each step takes one and gives another:

    broadcast, one for each sensor -> heapq.merge -> lossy -> attacked -> repeated -> cable.Cable

Pure: time and randomness come in as arguments.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count, pairwise
from random import Random

from cw_mqtt.config.values import DAY_S
from cw_mqtt.model import BLOCK_SIZE, TAIL_SIZE
from cw_mqtt.simulate.firmware import PERIOD_S, SensorFirmware

BATTERY_CHANGE_S = (1.0, 120.0)
REPEAT_S = 0.08  # the radio tries 16 times within 79 ms
BUSY_S = 0.5  # an attacker lets shorter gaps pass
RUN_LENGTHS = (2, 20)
RUN_PACES = (1, 3, 20)  # packets of a replayed run between two of the sensor's
RUN_SHARE = 0.05
RUN_SHARE_WHEN_SHAKEN = 0.5  # after a loss or a boot, when a receiver is easiest to deceive
NEWEST = 20
FLIPPED_BITS = (1, 3)


class Kind(StrEnum):
    """What a signal truly is."""

    PACKET = "packet"
    REPEAT = "repeat"  # the radio's: the same packet again within 80 ms
    REPLAY = "replay"
    RUN = "run"  # a replay too, one of several in the order in which they were sent
    NOISE = "noise"
    MUTATION = "mutation"  # a packet with some bits flipped

    @property
    def replayed(self) -> bool:
        """Whether a sensor sent these very bytes, at another time."""
        return self in (Kind.REPLAY, Kind.RUN)


@dataclass(frozen=True, slots=True, order=True)
class Signal:
    """One payload on the air.

    `power_w` is what it says if a sensor made it; `place` counts from 0 since the boot.
    """

    ts: float
    payload: bytes
    sender: str = ""
    kind: Kind = Kind.PACKET
    power_w: int = 0
    place: int = 0
    settling: bool = False
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Habits:
    """How a sensor sends; `drift` is by what share its period follows the warmth of the day."""

    period_s: float = PERIOD_S
    jitter_s: float = 0.02
    drift: float = 0.0
    reboot_every: int | None = None


def broadcast(
    sender: str,
    firmware: SensorFirmware,
    start_ts: float,
    power_w: Callable[[float], float],
    habits: Habits,
) -> Iterator[Signal]:
    """Everything that a sensor sends from `start_ts` on, without end."""
    ts, place = start_ts, 0
    for number in count():
        if habits.reboot_every and number and number % habits.reboot_every == 0:
            firmware.reboot()
            ts, place = ts + firmware.random.uniform(*BATTERY_CHANGE_S), 0
        settling, payload = firmware.settling, firmware.measure(power_w(ts))
        yield Signal(ts, payload, sender, Kind.PACKET, firmware.shown_w, place, settling)
        warmth = math.sin(ts * math.tau / DAY_S)
        ts += habits.period_s * (1 + habits.drift * warmth)
        ts += firmware.random.uniform(-habits.jitter_s, habits.jitter_s)
        place += 1


def lossy(signals: Iterable[Signal], share: float, random: Random) -> Iterator[Signal]:
    """The same signals, of which a share is lost on the air: the receiver does not hear them."""
    for signal in signals:
        yield replace(signal, lost=True) if random.random() < share else signal


def repeated(signals: Iterable[Signal], share: float, random: Random) -> Iterator[Signal]:
    """The same signals, of which a share is heard twice, as when the acknowledgement is lost."""
    for signal in signals:
        yield signal
        if not signal.lost and random.random() < share:
            yield replace(signal, ts=signal.ts + random.random() * REPEAT_S, kind=Kind.REPEAT)


def attacked(signals: Iterable[Signal], attacker: "Attacker") -> Iterator[Signal]:
    """The same signals but the last, and what an attacker sends between each and the next."""
    for before, after in pairwise(signals):
        yield before
        attacker.hear(before)
        gap_s = after.ts - before.ts
        shots = attacker.shots() if gap_s > BUSY_S else []
        for number, shot in enumerate(shots, 1):
            place = (number + attacker.random.uniform(-0.3, 0.3)) / (len(shots) + 1)
            yield replace(shot, ts=before.ts + gap_s * place)


class Attacker:
    """Hears everything on the air, lost or not, remembers it, and has not got the key.

    Between two packets it sends `at_once` of its own, of which a share `replays`, the others
    forged; and, if it replays at all, now and then a run of old packets in their order.
    """

    def __init__(self, random: Random, at_once: int = 3, replays: float = 0.5) -> None:
        self.random = random
        self._at_once, self._replays = at_once, replays
        self._heard: list[Signal] = []
        self._boots = [0]  # where boots begin in what was heard
        self._shaken = False
        self._run: deque[Signal] = deque()
        self._pace = 1

    def hear(self, signal: Signal) -> None:
        """Remember a signal."""
        if signal.place == 0:
            self._boots.append(len(self._heard))
        self._shaken = signal.lost or signal.place == 0
        self._heard.append(signal)

    def shots(self) -> list[Signal]:
        """What to send until the next packet."""
        run_share = RUN_SHARE_WHEN_SHAKEN if self._shaken else RUN_SHARE
        if self._replays and self.random.random() < run_share:
            self._run = deque(self._old_run())
            self._pace = self.random.choice(RUN_PACES)
        shots = [self._run.popleft() for _ in range(min(self._pace, len(self._run)))]
        for _ in range(self._at_once):
            shoot = self._replay if self.random.random() < self._replays else self._forgery
            shots.append(shoot())
        return shots

    def _old_run(self) -> list[Signal]:
        length = self.random.randint(*RUN_LENGTHS)
        start = self._old_place()
        return [replace(s, kind=Kind.RUN, lost=False) for s in self._heard[start : start + length]]

    def _replay(self) -> Signal:
        return replace(self._heard[self._old_place()], kind=Kind.REPLAY, lost=False)

    def _old_place(self) -> int:
        """One of the newest, one of the first of a boot, or any."""
        newest = len(self._heard) - 1
        boot = min(newest, self.random.choice(self._boots) + self.random.randrange(NEWEST))
        recent = max(0, newest - self.random.randrange(NEWEST))
        return self.random.choice((recent, boot, self.random.randint(0, newest)))

    def _forgery(self) -> Signal:
        if self.random.random() < 0.5:
            return Signal(0, self.random.randbytes(BLOCK_SIZE), kind=Kind.NOISE)
        payload = mutated(self._heard[self._old_place()].payload, self.random)
        return Signal(0, payload, kind=Kind.MUTATION)


def mutated(payload: bytes, random: Random) -> bytes:
    """A packet with some bits flipped; half of the time its tail, which the next repeats, stays."""
    bits = 8 * (BLOCK_SIZE if random.random() < 0.5 else BLOCK_SIZE - TAIL_SIZE)
    number = int.from_bytes(payload, "little")
    for bit in random.sample(range(bits), random.randint(*FLIPPED_BITS)):
        number ^= 1 << bit
    return number.to_bytes(BLOCK_SIZE, "little")
