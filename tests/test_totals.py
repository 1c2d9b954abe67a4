"""The total over everything that a home lives through, in many random orders.

Data folders and databases are swapped for older copies or lost, the broker forgets, clocks are
set, settings changed, the bridge is killed. One of journal, database and broker always knows.
"""

import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from cw_mqtt.bridge import Bridge
from cw_mqtt.health import Health
from cw_mqtt.journal import Journal
from cw_mqtt.loading import lift_total
from cw_mqtt.measure.energy import carry
from cw_mqtt.model import JOULES_PER_KWH, SensorState
from cw_mqtt.publish.telling import Telling
from cw_mqtt.publish.topics import Topics
from cw_mqtt.publish.totals import Retained, parse_object
from cw_mqtt.store.engine import make_engine
from tests.amounts import amount
from tests.home import Home, reading
from tests.settings import NIGHT_CONTRACT, SENSOR, settings

STEPS = 12
TOPICS = Topics("citizenwatt")
TOTAL, STATE = TOPICS.sensor("main", "energy"), TOPICS.sensor("main", "state")
JOURNAL, DATABASE = "journal", "citizenwatt"


class World(Home):
    """A home with the broker's memory, and older copies of what it keeps on disk."""

    def __init__(self, folder: Path, random: Random) -> None:
        super().__init__(folder / "data")
        self.random = random
        self.start_kwh, self.max_gap_s = 0.0, 300
        self.kept: dict[str, str] = {}
        self.told: dict[str, list[float]] = defaultdict(list)
        self.copies = folder / "copies"
        self.ts = self.power_w = 0
        self.begin()
        self.sync()
        self.keep_copy()

    def begin(self) -> None:
        """Start everything as a new process does."""
        self.close()
        self.settings = settings(
            self.folder,
            sensors=[{**SENSOR, "start_kwh": self.start_kwh}],
            energy={"max_gap_s": self.max_gap_s},
            providers=[NIGHT_CONTRACT],
        )
        self.engine = make_engine(self.settings.database, self.folder)
        self.journal, self.health = Journal(self.folder, durable=False), Health()
        self.bridge = Bridge(self.settings, self.journal, self.health, self.events)

    def load(self, known: Mapping[str, SensorState], seq: int) -> None:
        self.bridge.load(known, seq)

    def measure(self) -> None:
        """Some readings, each of a power of its own, and not always in time."""
        for _ in range(self.random.randint(1, 6)):
            self.ts += self.random.choice([8, 8, 8, 9, 250, 800])
            self.power_w += 10_000
            self.hear(reading(self.ts, power_w=self.power_w, night=self.random.random() < 0.3))

    def publish(self) -> None:
        """Connect to the broker, and tell everything; no total ever falls."""
        retained = Retained(TOPICS, dict(self.kept))
        telling = Telling(
            self.settings, TOPICS, self.journal, self.health, self.events, lambda: self.now_ts
        )

        def join(state: SensorState) -> None:
            if published := retained.total(self.journal.installation, state):
                lift_total(self.journal, state.sensor, published)

        telling.join_totals(join)
        for message in telling.everything():
            self.kept[message.topic] = message.payload
        if TOTAL in self.kept:
            values = {"energy": self.kept[TOTAL], **parse_object(self.kept.get(STATE, ""))}
            for name in ("energy", "energy_day", "energy_night", "cost"):
                if values.get(name) is not None:
                    self.told[name].append(float(values[name]))
                    assert self.told[name] == sorted(self.told[name]), name

    def store(self) -> None:
        """Store what there is: nothing twice, and corrections are the difference."""
        super().store()
        measures = self.ask("SELECT timestamp, value FROM measures ORDER BY timestamp, id")
        powers_w = [power_w for _, power_w in measures]
        assert len(powers_w) == len(set(powers_w))
        stored_j = sum(
            carry(*before, *after, self.max_gap_s).energy_j for before, after in pairwise(measures)
        )
        counted_j = self.total_j() - self.start_kwh * JOULES_PER_KWH
        told_kwh = self.health.report()["corrections"]["main"]
        assert told_kwh == pytest.approx((stored_j - counted_j) / JOULES_PER_KWH, abs=0.0006)

    def sync(self) -> None:
        """Let all three know everything."""
        self.store()
        self.publish()

    def keep_copy(self) -> None:
        """Copy the folder as it is."""
        self.close()
        shutil.rmtree(self.copies, ignore_errors=True)
        shutil.copytree(self.folder, self.copies, ignore=shutil.ignore_patterns("*.flush"))
        self.begin()

    def go_back(self, *files: str) -> None:
        """Put older copies of files in their place."""
        self.sync()
        self.close()
        for name in files:
            for file in self.folder.glob(f"{name}*"):
                file.unlink()
            for file in self.copies.glob(f"{name}*"):
                shutil.copy(file, self.folder)
        self.begin()

    def lose_journal(self) -> None:
        self.sync()
        self.new_journal()
        self.begin()

    def broker_forgets(self) -> None:
        self.sync()
        self.kept.clear()
        self.sync()

    def one_alone_knows(self, *files: str) -> None:
        """Go back with some files while the broker forgets."""
        self.go_back(*files)
        self.kept.clear()
        self.sync()

    def set_clock(self) -> None:
        self.ts += self.random.randint(-3000, 3000)

    def change_settings(self) -> None:
        self.max_gap_s = self.random.choice([100, 300, 900])
        self.start_kwh += self.random.choice([0, 0, 7.5])
        self.begin()
        self.sync()


ACTIONS: dict[str, Callable[[World], None]] = {
    "measure": World.measure,
    "publish": World.publish,
    "store": World.store,
    "kill": World.begin,
    "copy": World.keep_copy,
    "old journal": lambda world: world.go_back(JOURNAL),
    "old database": lambda world: world.go_back(DATABASE),
    "old folder": lambda world: world.go_back(JOURNAL, DATABASE),
    "lost journal": World.lose_journal,
    "broker forgets": World.broker_forgets,
    "database alone": lambda world: world.one_alone_knows(JOURNAL),
    "journal alone": lambda world: world.one_alone_knows(DATABASE),
    "clock": World.set_clock,
    "settings": World.change_settings,
}


@pytest.mark.usefixtures("caplog")
@pytest.mark.parametrize("seed", range(amount(4, torture=500)))
def test_no_total_falls_and_all_is_stored_once_whatever_comes(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    world = World(tmp_path, random)

    for _ in range(STEPS):
        world.measure()
        name = random.choice(list(ACTIONS))
        ACTIONS[name](world)
        world.measure()
        random.choice([World.sync, World.publish, World.begin])(world)

    world.sync()
    world.close()
    assert world.told["energy"]
