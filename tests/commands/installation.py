"""A configuration, the database it names, and the commands run on both."""

import json
from pathlib import Path
from typing import Any

from click.testing import Result

from tests.command import call, write_config
from tests.home import Home


class Installation:
    """One with a sensor `main`; the bridge does not run, but its journal is there."""

    def __init__(self, folder: Path, url: str | None) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.home = Home(folder / "data", url)
        self.configure()

    def configure(self, **changes: Any) -> None:
        """Write other settings."""
        database = {"database": {"url": self.home.url}} if self.home.url else {}
        self.config = write_config(self.folder, **database, **changes)

    def call(self, *arguments: object, **options: Any) -> Result:
        """`cw-mqtt ARGUMENTS`."""
        return call(self.config, *arguments, **options)

    def told(self, *arguments: object) -> Any:
        """What `cw-mqtt ARGUMENTS --json` prints."""
        return json.loads(self.call(*arguments, "--json").stdout)

    def write(self, *lines: str) -> Path:
        """A file with these lines."""
        path = self.folder / "file"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def measures(self) -> list[tuple[Any, ...]]:
        """Time, power and night of all measures, in order."""
        columns = "timestamp, value, night_rate"
        return self.home.ask(f"SELECT {columns} FROM measures ORDER BY sensor_id, timestamp, id")
