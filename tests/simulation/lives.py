"""What happens to sensors in years: neighbours, deaths, new firmware, bad supplies."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import cycle, takewhile
from random import Random

from cw_mqtt.simulate.firmware import SensorFirmware
from tests.packets import KEY, START_TS
from tests.simulate.air import Habits, Signal, broadcast, lossy
from tests.simulation.house import AWAKE_MS

HOUR_S = 3600.0
BURST = 6
SHARE_AWAKE = sum(AWAKE_MS) / 2 / 8192
POWERS_EACH = 6000  # so that each life's powers tell whose a measure is


@dataclass(frozen=True, slots=True)
class Life:
    """When a sensor sends, in hours after the beginning; `up_h` is since when it has run before."""

    slug: str
    from_h: float
    until_h: float
    up_h: float = 0.0
    period_s: float = 8.192
    awake_ms: tuple[int, int] = AWAKE_MS
    reboot_every: int | None = None

    def sent(self, number: int, format_name: str, seed: int) -> Iterator[Signal]:
        """All that it sends; its powers are those of the life with this `number`."""
        random = Random(f"{self.slug} {number} {seed}")
        timer_ms = int(self.up_h * HOUR_S * 1000 * SHARE_AWAKE)
        firmware = SensorFirmware(
            KEY, random, timer_ms, b"before" if timer_ms else None, format_name
        )
        firmware.awake_ms = self.awake_ms
        powers_w = cycle(range(POWERS_EACH * number + 1, POWERS_EACH * (number + 1) - 2000))
        habits = Habits(self.period_s, drift=0.05, reboot_every=self.reboot_every)
        start_ts, until_ts = START_TS + self.from_h * HOUR_S, START_TS + self.until_h * HOUR_S
        signals = broadcast(self.slug, firmware, start_ts, lambda _: next(powers_w), habits)
        return takewhile(lambda signal: signal.ts < until_ts, signals)


LIVES: dict[str, tuple[Life, ...]] = {
    "a neighbour who has run for a day, heard while ours is silent": (
        Life("main", 0, 2),
        Life("neighbour", 5, 9, up_h=24),
        Life("main", 6, 9),
    ),
    "a neighbour who restarts while ours is silent": (
        Life("main", 0, 2),
        Life("neighbour", 0.1, 9, reboot_every=1500),
        Life("main", 6, 9),
    ),
    "two sensors, of which the first dies": (Life("main", 0, 1), Life("attic", 0.1, 7)),
    "two sensors, of which one dies and returns, and the other restarts": (
        Life("main", 0, 1),
        Life("attic", 0.1, 7, reboot_every=700),
        Life("main", 5.2, 7),
    ),
    "a sensor flashed to other steps and periods": (
        Life("main", 0, 1),
        Life("main", 1.01, 4, period_s=26),
        Life("main", 4.01, 5, period_s=3, awake_ms=(120, 140)),
        Life("main", 5.01, 6),
    ),
    "a sensor that restarts every five packets for an hour": (
        Life("main", 0, 1),
        Life("main", 1.01, 2, reboot_every=5),
        Life("main", 2.01, 3),
    ),
}


def air(name: str, format_name: str, loss: float, seed: int) -> list[Signal]:
    """All that is on the air in these lives."""
    lives = enumerate(LIVES[name])
    signals = sorted(s for number, life in lives for s in life.sent(number, format_name, seed))
    return list(lossy(signals, loss, Random(seed)))


def in_bursts(signals: list[Signal]) -> list[Signal]:
    """The same, held back by a network and brought six at a time."""
    last = len(signals) - 1
    return [
        replace(signal, ts=signals[min(last, n - n % BURST + BURST - 1)].ts + n % BURST / 100)
        for n, signal in enumerate(signals)
    ]


def one_burst(signals: list[Signal]) -> list[Signal]:
    """The first six at once, four as they are sent, one lost, and all others as they are sent."""
    first, lost = in_bursts(signals[:BURST]), replace(signals[BURST + 4], lost=True)
    return [*first, *signals[BURST : BURST + 4], lost, *signals[BURST + 5 :]]


def with_outage(signals: list[Signal]) -> list[Signal]:
    """The same with half an hour in which the bridge was off."""
    middle_ts = signals[len(signals) // 2].ts
    return [s for s in signals if not middle_ts <= s.ts < middle_ts + HOUR_S / 2]


DELIVERIES: dict[str, Callable[[list[Signal]], list[Signal]]] = {
    "one burst of a network's buffer": one_burst,
    "bursts of a network's buffer, and an outage": lambda sent: with_outage(in_bursts(sent)),
    "an outage": with_outage,
}


def delivered(name: str, format_name: str, loss: float, seed: int) -> list[Signal]:
    """A sensor's packets as such a receiver brings them."""
    sent = list(Life("main", 0, 3, up_h=5).sent(0, format_name, seed))
    return list(lossy(DELIVERIES[name](sent), loss, Random(seed)))
