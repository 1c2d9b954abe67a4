"""Tariffs: which hours are night, in local time, and what energy costs."""

from datetime import datetime

from cw_mqtt.config.settings import Settings


def is_night(ts: int, settings: Settings) -> bool:
    """Whether an instant lies in a night window of the contract that is current on its day.

    A window holds its start and not its end; one that ends before it starts goes past midnight.
    """
    local = datetime.fromtimestamp(ts, settings.timezone)
    contract = settings.contract_on(local.date())
    second = local.hour * 3600 + local.minute * 60 + local.second
    return contract is not None and any(
        window.start_s <= second < window.end_s
        if window.start_s < window.end_s
        else second >= window.start_s or second < window.end_s
        for window in contract.night_hours
    )


def price_per_kwh(ts: int, settings: Settings, *, night: bool) -> float:
    """What energy costs in a tariff on the day of an instant; 0 on a day without a contract."""
    contract = settings.contract_on(datetime.fromtimestamp(ts, settings.timezone).date())
    if contract is None:
        return 0.0
    tariff = contract.night if night and contract.night else contract.day
    return tariff.eur_per_kwh
