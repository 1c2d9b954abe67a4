"""Whose the base topic is, and whose the totals that the broker keeps below it. Pure.

The topic `bridge/info` says which installation is there, `bridge/totals` which installation and
which sensors have published the totals: it is published after them, and only when they are whole.
Both are payloads, so that they tell it also where MQTT 5's properties are lost.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cw_mqtt.model import JOULES_PER_KWH, Energy, SensorState
from cw_mqtt.publish.topics import ONLINE, Topics

# What rounding may have added to a published figure. So a total rises by none of it, however
# often it is read back, and is still published as what it was.
ROUNDED_UP_KWH = 0.000499
OF_TARIFF = "energy_"
ROUNDED_UP_COST = 0.0000499


@dataclass(frozen=True, slots=True)
class Retained:
    """What the broker keeps below a base topic, by topic."""

    topics: Topics
    payloads: Mapping[str, str]

    def installation_online(self) -> str | None:
        """The installation that is online under this base topic, as far as the broker knows."""
        online = self.payloads.get(self.topics.bridge("state")) == ONLINE
        return (
            installation_in(self.payloads.get(self.topics.bridge("info"), "")) if online else None
        )

    def total(self, installation: str, sensor: SensorState) -> Energy | None:
        """The sums that this sensor of this installation has published; None if it is not known."""
        owner = parse_object(self.payloads.get(self.topics.bridge("totals"), ""))
        sensors = owner.get("sensors")
        if owner.get("installation") != installation or not isinstance(sensors, dict):
            return None
        if sensors.get(sensor.sensor) != sensor.identity:
            return None
        state = parse_object(self.payloads.get(self.topics.sensor(sensor.sensor, "state"), ""))
        alone, among = parse_sum(self._energy(sensor.sensor)), parse_sum(state.get("energy"))
        return Energy(
            total_j=joules(max(alone, among)),
            tariffs_j={
                name.removeprefix(OF_TARIFF): joules(parse_sum(kwh))
                for name, kwh in state.items()
                if name.startswith(OF_TARIFF)
            },
            cost=max(0.0, parse_sum(state.get("cost")) - ROUNDED_UP_COST),
        )

    def has_total(self, slug: str) -> bool:
        """Whether there is a total of whomever under this slug."""
        return parse_sum(self._energy(slug)) > 0

    def _energy(self, slug: str) -> str | None:
        return self.payloads.get(self.topics.sensor(slug, "energy"))


def topics_of_totals(topics: Topics, slugs: Iterable[str]) -> set[str]:
    """Where the broker keeps totals, and what tells whose they are."""
    values = {topics.sensor(slug, value) for slug in slugs for value in ("energy", "state")}
    return {topics.bridge("totals"), *values}


def installation_in(info: str) -> str | None:
    """The installation that a message under `bridge/info` names."""
    name = parse_object(info).get("installation")
    return name if isinstance(name, str) else None


def joules(kwh: float) -> float:
    """Joules of a published figure, without what rounding may have added."""
    return max(0.0, kwh - ROUNDED_UP_KWH) * JOULES_PER_KWH


def parse_sum(value: Any) -> float:
    """A published sum; 0 for what makes no sense."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0


def parse_object(payload: str) -> dict[str, Any]:
    """A JSON object; empty for anything else."""
    try:
        content = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
