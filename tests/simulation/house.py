"""What a house sends, and a bridge that hears it: the way of every simulation."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any

from cw_mqtt.bridge.bridge import Bridge
from cw_mqtt.journal.journal import Journal
from cw_mqtt.model import Chunk, Heard, Reading, SensorState
from cw_mqtt.runtime.health import Health
from cw_mqtt.simulate.firmware import SensorFirmware
from tests.home import Home
from tests.packets import KEY, START_TS
from tests.simulate.air import Attacker, Habits, Signal, attacked, broadcast, lossy, repeated
from tests.simulate.cable import Cable

AWAKE_MS = (637, 713)  # the 2014 firmware, acknowledged or not
REPEATED_SHARE = 0.02
DIFFERENT_POWERS_W = 20_000
BURSTS_A_COMMIT = 200
FORGED_AT_ONCE = 80  # the board writes one every 100 ms


@dataclass(frozen=True, slots=True)
class Scene:
    """What happens in a house; nothing is left to chance but by `seed`."""

    packets: int = 30_000
    loss: float = 0.0
    hostile: bool = False
    seed: int = 1
    reboot_every: int | None = 2500
    period_s: float = 8.192
    drift: float = 0.05
    spoiled: float = 0.0


def sensor(
    scene: Scene,
    slug: str = "main",
    format_name: str = "v1",
    key: bytes = KEY,
    start_ts: float = START_TS,
) -> Iterator[Signal]:
    """What a sensor sends from its first boot on; each power is another, to be told apart."""
    made = SensorFirmware(key, Random(f"{slug} {scene.seed}"), format_name=format_name)
    made.awake_ms = AWAKE_MS
    powers_w = cycle(range(1, DIFFERENT_POWERS_W + 1))
    habits = Habits(scene.period_s, drift=scene.drift, reboot_every=scene.reboot_every)
    sent = broadcast(slug, made, start_ts, lambda _: next(powers_w), habits)
    return islice(sent, scene.packets)


def fuzzed(scene: Scene, sent: Iterable[Signal]) -> Iterator[Signal]:
    """The packets amid as many forged ones as the receiver board can write."""
    random = Random(f"fuzz {scene.seed}")
    return attacked(lossy(sent, scene.loss, random), Attacker(random, FORGED_AT_ONCE, replays=0))


def on_the_air(scene: Scene, sent: Iterable[Signal]) -> Iterator[Signal]:
    """What becomes of packets on the way to the receiver, and what others send meanwhile."""
    random = Random(f"air {scene.seed}")
    signals = lossy(sent, scene.loss, random)
    if scene.hostile:
        signals = attacked(signals, Attacker(random))
    return repeated(signals, REPEATED_SHARE, random)


class Listener(Home):
    """A bridge that hears a house through receiver `hall`, in simulated time."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        super().__init__(folder, **changes)
        self._begin()

    def hear(self, signals: Iterable[Signal], cable: Cable | None = None) -> list[Signal]:
        """Take signals on the whole journey; answers them, lost where the cable spoiled them."""
        carried = (cable or Cable("hall", Random(1))).carry(signals)
        heard = []
        while batch := list(islice(carried, BURSTS_A_COMMIT)):
            heard += [signal for signal, _ in batch]
            self.read(chunk for _, chunks in batch for chunk in chunks)
        return heard

    def read(self, chunks: Iterable[Chunk]) -> None:
        """Take chunks in one commit."""
        self._bridge.process(list(chunks))

    def restart(self) -> None:
        """End, and begin anew on the same journal."""
        self.journal.close()
        self.journal = Journal(self.folder, durable=False)
        self.health = Health()
        self._begin()

    def counting(self, slug: str = "main") -> list[Reading]:
        """The readings of a sensor that are measures."""
        return [r for r in self.readings() if r.sensor == slug and r.verdict.counts]

    def held(self) -> list[Heard]:
        """What waits to be proven, under any key."""
        return [held for kept in self.journal.kept().values() for held in kept.held]

    def state(self, slug: str = "main") -> SensorState:
        """What is remembered of a sensor."""
        return self.journal.states()[slug]

    def _begin(self) -> None:
        self._bridge = Bridge(self.settings, self.journal, self.health, self.events)
        self._bridge.load({}, 0)
