"""A folder with a journal, its database, and the writer between them."""

import threading
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from cw_mqtt.config.settings import DatabaseSettings, Settings
from cw_mqtt.health import Health
from cw_mqtt.journal import Journal
from cw_mqtt.model import Energy, Reading, SensorState, Verdict
from cw_mqtt.store.engine import make_engine, transaction
from cw_mqtt.store.writer import DatabaseWriter

START_TS = 1_790_000_000
MAX_GAP_S = 300
KEY = "00112233445566778899aabbccddeeff"


def reading(ts: int, sensor: str = "main", **others: Any) -> Reading:
    values = {"power_w": 500.5, "voltage_v": 240, "battery_mv": 3300, "verdict": Verdict.VERIFIED}
    return Reading(sensor, START_TS + ts, **(values | others))


def make_settings(folder: Path, names: dict[str, str], **others: Any) -> Settings:
    sensors = [{"slug": slug, "name": name, "key": KEY} for slug, name in names.items()]
    return Settings.model_validate(
        {
            "timezone": "Europe/Paris",
            "data_dir": str(folder),
            "receivers": [{"name": "hall", "port": "simulated:"}],
            "sensors": sensors,
            **others,
        }
    )


class Home:
    """Everything that a writer needs; `loaded` collects what the database told of a sensor."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self.folder = folder
        self.url = url
        self.settings = make_settings(folder, {"main": "CitizenWatt"})
        self.engine: Engine = make_engine(DatabaseSettings(url=url), folder)
        self.journal = Journal(folder)
        self.health = Health()
        self.loaded: dict[str, tuple[SensorState | None, Energy]] = {}

    def close(self) -> None:
        self.journal.close()
        self.engine.dispose()

    def new_journal(self) -> None:
        """Lose the journal, and begin another."""
        self.journal.close()
        for file in self.folder.glob("journal.*"):
            file.unlink()
        self.journal = Journal(self.folder)

    def name_sensors(self, names: dict[str, str], **others: Any) -> None:
        self.settings = make_settings(self.folder, names, **others)

    def load(self, slug: str, copy: SensorState | None, measured: Energy) -> None:
        self.loaded[slug] = (copy, measured)
        self.journal.commit([copy or SensorState(slug, energy=Energy(loaded=True))])

    def hear(self, *readings: Reading) -> None:
        self.journal.commit([], readings)

    def writer(self) -> DatabaseWriter:
        clock = lambda: float(START_TS)  # noqa: E731
        return DatabaseWriter(
            self.engine, self.settings, self.journal, self.health, self.load, clock
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
