"""The contracts of the settings as rows of the old table `providers`."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import Connection, insert, update

from cw_mqtt.config.contract import ProviderSettings, line_on
from cw_mqtt.store.engine import codec_of, storable
from cw_mqtt.store.sensors import LONGEST_NAME, electricity, tell_substitute
from cw_mqtt.store.tables import providers

Columns = dict[str, str | float]


def write_providers(
    connection: Connection, contracts: Sequence[ProviderSettings], today: date
) -> None:
    """One row for each contract, with the prices of `today`.

    Rows of other contracts stay, and are not current. Settings without any contract leave the
    table as it is.
    """
    if not contracts:
        return
    connection.execute(update(providers).values(current=0))
    for name in dict.fromkeys(contract.name for contract in contracts):
        row = provider_row([contract for contract in contracts if contract.name == name], today)
        stored = storable(name, codec_of(connection))[:LONGEST_NAME]
        changed = connection.execute(
            update(providers).where(providers.c.name == stored).values(**row)
        )
        if changed.rowcount == 0:
            tell_substitute(name, stored)
            type_id = electricity(connection)
            connection.execute(insert(providers).values(name=stored, type_id=type_id, **row))


def provider_row(lines: Sequence[ProviderSettings], today: date) -> Columns:
    """The columns of one contract; a flat price is the same by day and by night."""
    line = line_on(lines, today)
    by_day, by_night = line.monthly
    return {
        "day_slope_watt_euros": line.tariff(night=False).eur_per_kwh,
        "day_constant_watt_euros": by_day,
        "night_slope_watt_euros": line.tariff(night=True).eur_per_kwh,
        "night_constant_watt_euros": by_night,
        "current": int(any(line.current for line in lines)),
        "threshold": line.threshold_w,
    }
