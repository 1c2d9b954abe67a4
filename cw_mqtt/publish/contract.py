"""What the current electricity contract adds to what is published of a sensor. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cw_mqtt.config.settings import ProviderSettings, Settings
from cw_mqtt.model import JOULES_PER_KWH, Energy, Reading


@dataclass(frozen=True, slots=True)
class Contract:
    """The current contract of the settings, over all times its prices changed."""

    settings: Settings

    @property
    def night_prices(self) -> bool:
        """Whether it has, or had, another price by night."""
        return any(line.night for line in self._lines)

    @property
    def currency(self) -> str | None:
        """What costs are counted in; None without a contract."""
        return self.settings.energy.currency if self._lines else None

    @property
    def limited(self) -> bool:
        """Whether it has, or had, a power that must not be exceeded."""
        return any(line.threshold_w for line in self._lines)

    def overload(self, reading: Reading) -> bool | None:
        """Whether a reading exceeds the power of the contract; None on a day without a limit."""
        line = self.settings.contract_at(reading.ts)
        return reading.power_w > line.threshold_w if line and line.threshold_w else None

    def values(self, latest: Reading, energy: Energy, *, known: bool) -> dict[str, Any]:
        """What it adds to a sensor's state; totals that are not `known` yet are null."""
        values: dict[str, Any] = {}
        if self.night_prices:
            values["tariff"] = "night" if latest.night else "day"
            values["energy_day"] = round(energy.day_j / JOULES_PER_KWH, 3) if known else None
            values["energy_night"] = round(energy.night_j / JOULES_PER_KWH, 3) if known else None
        if self.currency:
            values["cost"] = round(energy.cost, 4) if known else None
        if self.limited:
            values["overload"] = self.overload(latest)
        return values

    @property
    def _lines(self) -> Sequence[ProviderSettings]:
        return [line for line in self.settings.providers if line.current]
