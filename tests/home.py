"""An installation on disk: a folder with a journal and a database, and what works on them.

The one beginning of every harness; the folders of tests add what they drive.
"""

import threading
from collections import deque
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from cw_mqtt.health import Health
from cw_mqtt.journal import Journal
from cw_mqtt.model import Energy, Event, Reading, SensorState, Verdict
from cw_mqtt.store.engine import make_engine, transaction
from cw_mqtt.store.writer import DatabaseWriter
from tests.settings import SENSOR, settings

START_TS = 1_790_000_000
MAX_GAP_S = 300


def reading(ts: int, sensor: str = "main", **others: Any) -> Reading:
    values = {"power_w": 500.5, "voltage_v": 240, "battery_mv": 3300, "verdict": Verdict.VERIFIED}
    return Reading(sensor, START_TS + ts, **(values | others))


class Home:
    """Settings with changes, a journal, and a database: by default a SQLite file, made when used.

    `now_ts` is its clock; `told` collects what the database told of a sensor.
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
        self.told: dict[str, tuple[SensorState | None, Energy]] = {}

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
        self.settings = settings(self.folder, database={"url": self.url}, sensors=sensors, **others)

    def load(self, slug: str, copy: SensorState | None, measured: Energy) -> None:
        self.told[slug] = (copy, measured)
        self.journal.commit([copy or SensorState(slug, energy=Energy(loaded=True))])

    def hear(self, *readings: Reading) -> None:
        self.journal.commit([], readings)

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

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with transaction(self.engine) as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def tell(self, statement: str) -> None:
        with transaction(self.engine) as connection:
            connection.execute(text(statement))

    def stored(self) -> list[int]:
        """The times of all measures, as `reading` takes them, in order of id."""
        return [ts - START_TS for (ts,) in self.ask("SELECT timestamp FROM measures ORDER BY id")]
