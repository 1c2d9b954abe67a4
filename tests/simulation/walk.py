"""A house to which everything happens that real homes see, at random and in any order.

It is the whole path but for the wires: sensor firmware, bridge, journal, database, and what the
publisher tells a broker that remembers.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import event

from cw_mqtt.bridge.bridge import Bridge
from cw_mqtt.bridge.recovery import lift_total
from cw_mqtt.journal.journal import Journal
from cw_mqtt.measure.energy import carry
from cw_mqtt.model import JOULES_PER_KWH, Chunk, SensorState
from cw_mqtt.publish.outbox import Outbox
from cw_mqtt.publish.topics import Topics
from cw_mqtt.publish.totals import Retained, parse_object
from cw_mqtt.runtime.clock import Clocks
from cw_mqtt.runtime.health import Health
from tests.home import Home
from tests.packets import START_TS
from tests.settings import NIGHT_CONTRACT, SENSOR, settings
from tests.simulation.house import Scene, sensor

SLUG = "main"
STEPS = 30
COPIES = 3
TOPICS = Topics("citizenwatt")
SUMS = ("energy", "energy_day", "energy_night", "cost")  # of which none may ever fall


class KilledError(BaseException):
    """The process ends here, with nothing tidied up."""


class Walk(Home):
    """A home, its sensor, its broker, and what happens to them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._random = Random(seed)
        self._changes: dict[str, Any] = {"providers": [NIGHT_CONTRACT]}
        self._start_kwh = 0.0
        folder.mkdir()
        super().__init__(folder, **self._changes)
        self._copies: list[Path] = []
        self._signals = sensor(Scene(packets=10**6, seed=seed, reboot_every=150))
        self._steady_s = 1000.0
        self._ahead_s = 0.0
        self.broker: dict[str, str] = {}
        self.told: dict[str, list[float]] = {name: [] for name in SUMS}
        self.said: list[str] = []
        self._begin()

    def step(self) -> None:
        """One thing happens."""
        happen = self._random.choice(
            [self.hear] * 6
            + [self.store] * 3
            + [self.publish] * 3
            + [self.restart, self.kill_while_storing, self.take_copy, self.take_copy]
            + [self.lose_journal, self.lose_database, self.old_journal, self.old_database]
            + [self.old_folder, self.set_clock, self.change_settings, self.broker_forgets]
        )
        self.said.append(happen.__name__)
        happen()

    # what goes on

    def hear(self) -> None:
        """Some packets come, in one commit or a few."""
        for _ in range(self._random.randint(1, 3)):
            signals = islice(self._signals, self._random.randint(1, 25))
            self._bridge.process([self._chunk(signal.ts, signal.payload) for signal in signals])

    def store(self) -> None:
        """The database stage runs for a while."""
        super().store()

    def publish(self) -> None:
        """The broker is connected, and told everything."""
        if not (self._bridge.knows_totals or self.broker):
            super().store()  # the publisher waits a while for the database
        telling = Outbox(
            self.settings, TOPICS, self.journal, self.health, self.events, self._bridge.now
        )
        retained = Retained(TOPICS, dict(self.broker))

        def join(state: SensorState) -> None:
            if published := retained.total(self.journal.installation, state):
                lift_total(self.journal, state.sensor, published)

        telling.join_totals(join)
        self.broker |= {each.topic: each.payload for each in telling.everything() if each.retain}
        sums = parse_object(self.broker.get(TOPICS.sensor(SLUG, "state"), ""))
        if TOPICS.sensor(SLUG, "energy") in self.broker:
            sums |= {"energy": self.broker[TOPICS.sensor(SLUG, "energy")]}
        for name in SUMS:
            if sums.get(name) is not None:
                self.told[name].append(float(sums[name]))

    # what goes wrong

    def restart(self) -> None:
        """The process ends, and begins anew on what is on disk."""
        self.close()
        self._open()

    def kill_while_storing(self) -> None:
        """The process is killed in the middle of what it stores."""
        left = self._random.randint(0, 30)

        def count(*_: object) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise KilledError

        event.listen(self.engine, "before_cursor_execute", count)
        with suppress(KilledError):
            super().store()
        event.remove(self.engine, "before_cursor_execute", count)
        self.restart()

    def take_copy(self) -> None:
        """Somebody copies the folder, as an image of the card."""
        copy = self.folder.with_name(f"copy {len(self._copies)}")
        copy.mkdir()
        with self._stopped():
            for file in self.folder.glob("*.sqlite*"):
                shutil.copy(file, copy)
        self._copies.append(copy)

    def lose_journal(self) -> None:
        """The journal's files are deleted; the database has what it said."""
        super().store()
        with self._stopped():
            for file in self.folder.glob("journal.sqlite*"):
                file.unlink()

    def lose_database(self) -> None:
        """The database's files are deleted; the journal has what it said."""
        super().store()
        with self._stopped():
            for file in self.folder.glob("citizenwatt.sqlite*"):
                file.unlink()

    def old_journal(self) -> None:
        """The journal is replaced by an older copy of it."""
        super().store()
        self._replace("journal.sqlite*")

    def old_database(self) -> None:
        """The database is restored from an older copy; the journal is newer."""
        super().store()
        self._replace("citizenwatt.sqlite*")

    def old_folder(self) -> None:
        """Everything is as it was in an image of the card; only the broker remembers."""
        super().store()
        self.publish()
        self._replace("*.sqlite*")

    def set_clock(self) -> None:
        """The clock is set, forwards or back."""
        self._ahead_s += self._random.choice([-1, 1]) * self._random.choice([1, 30, 3000, 10**6])

    def broker_forgets(self) -> None:
        """The broker comes back without what it was to keep; the bridge has seen it before."""
        super().store()
        self.publish()
        super().store()
        self.broker.clear()

    def change_settings(self) -> None:
        """config.yaml is saved with something else in it."""
        self._start_kwh += self._random.choice([0, 7.5])
        self._changes |= self._random.choice(
            [
                {"sensors": [{**SENSOR, "start_kwh": self._start_kwh}]},
                {"energy": {"max_gap_s": self._random.choice([20, 300, 900])}},
                {"timezone": self._random.choice(["UTC", "Europe/Paris", "Asia/Kathmandu"])},
            ]
        )
        self.restart()

    # what must hold

    def settle(self) -> None:
        """Some good minutes: packets come, are stored and published."""
        for _ in range(3):
            self.hear()
        super().store()
        self.publish()

    def falls(self) -> list[tuple[str, float, float]]:
        """Where a sum that subscribers were told was lower than the one before."""
        return [
            (name, before, after)
            for name, told in self.told.items()
            for before, after in pairwise(told)
            if after < before
        ]

    def stored_twice(self) -> list[float]:
        """Powers that are stored more often than they were sent; each packet has its own."""
        rows = self.ask("SELECT value FROM measures")
        return [power_w for (power_w,), count in Counter(rows).items() if count > 1]

    def not_stored(self) -> set[float]:
        """Powers of readings that count in the journal and are not in the database."""
        counting = {r.power_w for r in self.readings() if r.verdict.counts}
        return counting - {power_w for (power_w,) in self.ask("SELECT value FROM measures")}

    def corrections_kwh_computed(self) -> float:
        """What the measures carry, computed from themselves, minus what the total has grown by."""
        rows = self.ask("SELECT timestamp, value FROM measures ORDER BY timestamp, id")
        gap_s = self.settings.energy.max_gap_s
        carried_j = sum(carry(*before, *after, gap_s).energy_j for before, after in pairwise(rows))
        energy = self.journal.states()[SLUG].energy
        return (carried_j - (energy.total_j - energy.start_j)) / JOULES_PER_KWH

    def _chunk(self, ts: float, payload: bytes) -> Chunk:
        self._steady_s = ts - START_TS + 1000.0
        return Chunk("hall", self._wall(), self._steady_s, payload)

    def _wall(self) -> float:
        return START_TS + self._steady_s + self._ahead_s

    def _replace(self, pattern: str) -> None:
        """Put the files of a copy in the place of those that are there."""
        if not self._copies:
            return
        copy = self._random.choice(self._copies[-COPIES:])
        with self._stopped():
            for file in self.folder.glob(pattern):
                file.unlink()
            for file in copy.glob(pattern):
                shutil.copy(file, self.folder)

    @contextmanager
    def _stopped(self) -> Iterator[None]:
        self.close()
        yield
        self._open()

    def _open(self) -> None:
        self.settings = settings(self.folder, **self._changes)
        self.journal = Journal(self.folder, durable=False)
        self.health = Health()
        self._begin()

    def _begin(self) -> None:
        clocks = Clocks(self._wall, lambda: self._steady_s, lambda: False, "one boot")
        self._bridge = Bridge(self.settings, self.journal, self.health, self.events, clocks)
        self.load: Callable[..., None] = self._bridge.load  # type: ignore[method-assign]
