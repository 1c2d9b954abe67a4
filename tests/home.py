"""An installation on disk: a folder with a journal and a database, and what works on them.

The one beginning of every harness; the folders of tests add what they drive.
"""

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from cw_mqtt.bridge.bridge import Bridge
from cw_mqtt.config.contract import TariffSettings
from cw_mqtt.journal.journal import Journal
from cw_mqtt.measure.energy import add_measure
from cw_mqtt.model import Event, Reading, SensorState, Verdict
from cw_mqtt.records import Author, Key, Range
from cw_mqtt.runtime.health import Health
from cw_mqtt.runtime.stages import Stage
from cw_mqtt.store.engine import make_engine, transaction
from cw_mqtt.store.rollups import ALL
from cw_mqtt.store.web_queries import WebQueries
from cw_mqtt.store.writer import DatabaseWriter
from tests.settings import SENSOR, settings
from tests.waiting import DEADLINE_S, wait_until

START_TS = 1_790_000_000
MAX_GAP_S = 300
AUTHOR = Author("ada", "192.0.2.7")


def reading(ts: int, sensor: str = "main", **others: Any) -> Reading:
    values = {"power_w": 500.5, "voltage_v": 240, "battery_mv": 3300, "verdict": Verdict.VERIFIED}
    return Reading(sensor, START_TS + ts, **(values | others))


class Home:
    """Settings with changes, a journal, and a database: by default a SQLite file, made when used.

    `now_ts` is its clock; `known` is what the database told of the sensors.
    """

    def __init__(self, folder: Path, url: str | None = None, **changes: Any) -> None:
        self.folder = folder
        self.url = url
        self.settings = settings(folder, **{"database": {"url": url}, **changes})
        self.engine: Engine = make_engine(self.settings.database, folder)
        self.journal = Journal(folder, durable=False)
        self.health = Health()
        self.events: deque[Event] = deque(maxlen=1000)
        self.now_ts = float(START_TS)
        self.known: Mapping[str, SensorState] = {}

    def close(self) -> None:
        self.journal.close()
        self.engine.dispose()

    def new_journal(self) -> None:
        """Lose the journal, and begin another."""
        self.journal.close()
        for file in self.folder.glob("journal.*"):
            file.unlink()
        self.journal = Journal(self.folder, durable=False)

    def name_sensors(self, names: dict[str, str], **others: Any) -> None:
        sensors = [{**SENSOR, "slug": slug, "name": name} for slug, name in names.items()]
        changes = {"database": {"url": self.url}, "sensors": sensors, **others}
        self.settings = settings(self.folder, **changes)

    def load(self, known: Mapping[str, SensorState], seq: int) -> None:
        """What the bridge does."""
        self.known = known
        Bridge(self.settings, self.journal, self.health, self.events).load(known, seq)

    def hear(self, *readings: Reading) -> None:
        """Commit readings, counted in the totals of their sensors as the bridge does."""
        states = dict(self.journal.states())
        for each in filter(lambda each: each.verdict.counts, readings):
            state = states.get(each.sensor, SensorState(each.sensor))
            max_gap_s = self.settings.energy.max_gap_s
            tariff = TariffSettings(name="night" if each.night else "day", eur_per_kwh=0)
            energy = add_measure(state.energy, each.ts, each.power_w, tariff, max_gap_s)
            states[each.sensor] = replace(state, energy=energy)
        self.journal.commit(states.values(), readings)

    def total_j(self, slug: str = "main") -> float:
        return self.journal.states()[slug].energy.total_j

    def stored_j(self) -> float:
        """What all measures of all sensors carry, by their sums."""
        queries = WebQueries(self.engine, self.settings)
        everything = [Range(i, Key.TIME, 0, ALL) for i, *_ in queries.sensors()]
        sums = [queries.sums(chosen, ALL)[0] for chosen in everything]
        return sum(found.day_j + found.night_j for found in sums if found)

    def delete(self, chosen: Range) -> int:
        """Delete measures as the API does; how many there were."""
        queries = WebQueries(self.engine, self.settings, lambda: self.now_ts)
        return max((each.measures for each in queries.delete(chosen, AUTHOR)), default=0)

    def corrections_kwh(self, slug: str = "main") -> float:
        """What a writer says of them once all is stored."""
        with self.running():
            wait_until(lambda: "corrections" in self.health.report())
        return float(self.health.report()["corrections"][slug])

    @contextmanager
    def running(self) -> Iterator[DatabaseWriter]:
        """A writer in its own thread, in touch with the database."""
        self.health = Health()
        writer = self.writer()
        stage = Stage(writer, self.health)
        stage.start()
        wait_until(lambda: self.health.stages()["database"].state == "working")
        yield writer
        stage.ask_to_stop()
        assert stage.join(DEADLINE_S)

    def readings(self) -> list[Reading]:
        """All readings in the journal, also those set aside."""
        return [entry.reading for entry in self.journal.readings_after(0, 10**9)]

    def writer(self) -> DatabaseWriter:
        return DatabaseWriter(
            self.engine, self.settings, self.journal, self.health, self.load, lambda: self.now_ts
        )

    def store(self) -> None:
        """Let a writer open the database, store one batch, and stop."""
        stopping = threading.Event()
        self.writer().serve(stopping, stopping.set)

    def stop_while_building(self) -> None:
        """Start a writer that is told to stop before its sums are built."""
        stopping = threading.Event()
        stopping.set()
        self.writer().serve(stopping, lambda: None)

    def go_back_to(self, seq: int) -> None:
        """Let the database be as far as reading `seq`, as after a restore."""
        self.tell(f"UPDATE bridge_positions SET seq = {seq}")

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with transaction(self.engine) as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def tell(self, statement: str) -> None:
        with transaction(self.engine) as connection:
            connection.execute(text(statement))

    def stored(self) -> list[int]:
        """The times of all measures, as `reading` takes them, in order of id."""
        return [ts - START_TS for (ts,) in self.ask("SELECT timestamp FROM measures ORDER BY id")]
