"""Settings for tests: one sensor with the recorded key, one receiver `hall`."""

from pathlib import Path
from typing import Any

from cw_mqtt.config.settings import Settings
from tests.packets import KEY

SENSOR = {"slug": "main", "name": "CitizenWatt", "key": KEY.hex()}
NIGHT_CONTRACT: dict[str, Any] = {
    "name": "HP/HC",
    "day": {"eur_per_kwh": 0.2},
    "night": {"eur_per_kwh": 0.1},
    "night_hours": ["22:30-06:30"],
}

DATES = {"red": ["2026-01-12", "2026-01-13"], "white": ["2026-01-14"]}
SIX_PRICES: dict[str, Any] = {
    "name": "Tempo",
    "eur_per_month": 15.5,
    "tariffs": [
        {"name": "red_day", "eur_per_kwh": 0.7, "hours": ["06:00-22:00"], "days": DATES["red"]},
        {"name": "red_night", "eur_per_kwh": 0.2, "hours": ["22:00-06:00"], "days": DATES["red"]},
        {"name": "white_day", "eur_per_kwh": 0.4, "hours": ["06:00-22:00"], "days": DATES["white"]},
        {
            "name": "white_night",
            "eur_per_kwh": 0.15,
            "hours": ["22:00-06:00"],
            "days": DATES["white"],
        },
        {"name": "blue_night", "eur_per_kwh": 0.12, "hours": ["22:00-06:00"]},
        {"name": "blue_day", "eur_per_kwh": 0.16},
    ],
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
