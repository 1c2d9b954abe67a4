"""Settings for tests: one sensor with the recorded key, one receiver `hall`."""

from pathlib import Path
from typing import Any

from cw_mqtt.config.settings import Settings
from tests.packets import KEY

SENSOR = {"slug": "main", "name": "CitizenWatt", "key": KEY.hex()}
NIGHT_CONTRACT = {
    "name": "HP/HC",
    "day": {"eur_per_kwh": 0.2},
    "night": {"eur_per_kwh": 0.1},
    "night_hours": ["22:30-06:30"],
}


def settings(folder: Path, **changes: Any) -> Settings:
    """Settings whose `data_dir` is `folder`, with `changes` to single sections."""
    return Settings.model_validate(
        {
            "timezone": "Europe/Paris",
            "data_dir": str(folder),
            "receivers": [{"name": "hall", "port": "simulated:"}],
            "sensors": [SENSOR],
            **changes,
        }
    )
