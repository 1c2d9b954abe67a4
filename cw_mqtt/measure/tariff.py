"""Tariffs: which hours are night, in local time, and what energy costs."""

from datetime import datetime

from cw_mqtt.config.settings import Settings
from cw_mqtt.measure.periods import day_start, months_between
from cw_mqtt.model import EnergySum


def is_night(ts: int, settings: Settings) -> bool:
    """Whether an instant lies in a night window of the contract that is current on its day.

    A window holds its start and not its end; one that ends before it starts goes past midnight.
    """
    local = datetime.fromtimestamp(ts, settings.timezone)
    contract = settings.contract_at(ts)
    second = local.hour * 3600 + local.minute * 60 + local.second
    return contract is not None and any(
        window.start_s <= second < window.end_s
        if window.start_s < window.end_s
        else second >= window.start_s or second < window.end_s
        for window in contract.night_hours
    )


def price_changes(settings: Settings) -> list[int]:
    """When a new line of the current contract begins to be valid."""
    lines = [line for line in settings.providers if line.current and line.since]
    return sorted(day_start(line.since, settings.timezone) for line in lines if line.since)


def cost(energy: EnergySum | None, from_ts: int, until_ts: int, settings: Settings) -> float | None:
    """What a period costs at the contract that is valid on its first day; None without one.

    That is its energy, and its part of the monthly charge, of which a contract has one: the
    higher of its tariffs'. Periods in which prices change are to be cut there.
    """
    line = settings.contract_at(from_ts)
    if line is None:
        return None
    night = line.night or line.day
    day_kwh, night_kwh = energy.kwh if energy else (0.0, 0.0)
    months = months_between(from_ts, until_ts, settings.timezone)
    return (
        day_kwh * line.day.eur_per_kwh
        + night_kwh * night.eur_per_kwh
        + months * max(line.day.eur_per_month, night.eur_per_month)
    )


def price_per_kwh(ts: int, settings: Settings, *, night: bool) -> float:
    """What energy costs in a tariff on the day of an instant; 0 on a day without a contract."""
    contract = settings.contract_at(ts)
    if contract is None:
        return 0.0
    tariff = contract.night if night and contract.night else contract.day
    return tariff.eur_per_kwh
