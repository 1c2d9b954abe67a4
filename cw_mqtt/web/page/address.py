"""Addresses of the history: which period of which sensor they mean, in which unit, beside what."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time
from urllib.parse import urlencode

from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.measure.named_periods import NamedPeriod
from cw_mqtt.measure.periods import local_day
from cw_mqtt.web.endpoints import RefusedError
from cw_mqtt.web.page.house import House
from cw_mqtt.web.page.period_chart import UNITS

KINDS = ("day", "week", "month", "year", "years")
COMPARED = ("before", "year", "none")
FIRST_YEAR = 1970
AT = "at/"


@dataclass(frozen=True, slots=True)
class Shown:
    """What of the history an address means; `period` None is all years.

    `between` are two times of a day, in seconds since the epoch.
    """

    sensor: SensorSettings
    period: NamedPeriod | None
    unit: str
    compared: str
    query: Mapping[str, str]
    between: tuple[int, int] | None = None

    @property
    def kind(self) -> str:
        """A word of `KINDS`."""
        return self.period.kind if self.period else "years"

    def address(self, period: NamedPeriod | None, suffix: str = "", **changes: str) -> str:
        """The path of another period, asked in the same way but for some changes."""
        path = f"/{period.kind}/{period.name}" if period else "/years"
        kept = {name: self.query[name] for name in ("in", "with", "sensor") if name in self.query}
        query = urlencode({**kept, **changes})
        return f"{path}{suffix}?{query}" if query else f"{path}{suffix}"


def shown_at(house: House, path: str, query: Mapping[str, str]) -> Shown:
    """What an address means. Raises `RefusedError`."""
    kind, _, name = path.strip("/").partition("/")
    sensor = house.sensor(query.get("sensor"))
    unit, compared = query.get("in", "kwh"), query.get("with", "before")
    if unit not in UNITS or compared not in COMPARED:
        raise RefusedError(400, "in is kwh, eur or w; with is before, year or none.")
    if unit == "eur" and not house.contract.currency:
        unit = "kwh"
    period = _period(house, kind, name)
    shown = Shown(sensor, period, unit, compared, query)
    return replace(shown, between=_between(house, shown, query))


def _period(house: House, kind: str, name: str) -> NamedPeriod | None:
    zone = house.zone
    now = local_day(int(house.clock()), zone)
    if kind == "years" and not name:
        return None
    if kind not in KINDS[:-1]:
        raise RefusedError(404, "There is nothing at this address.")
    try:
        if name.startswith(AT):  # as the old base's addresses say it
            period = NamedPeriod.around(kind, local_day(int(name[len(AT) :][:11]), zone))
        else:
            period = NamedPeriod.parse(kind, name) if name else NamedPeriod.around(kind, now)
    except ValueError as error:
        raise RefusedError(400, f"{kind}: {error}.") from error
    if period.first_day > now or period.first_day.year < FIRST_YEAR:
        raise RefusedError(404, "There is nothing yet at this address.")
    return period


def _between(house: House, shown: Shown, query: Mapping[str, str]) -> tuple[int, int] | None:
    """Two times of the day that is shown. Raises `RefusedError`."""
    if shown.kind != "day" or not shown.period or not {"from", "to"} <= query.keys():
        return None
    zone, day = house.zone, shown.period.first_day
    start_ts, end_ts = shown.period.bounds(zone)
    try:
        first, last = (
            int(datetime.combine(day, time.fromisoformat(query[name]), zone).timestamp())
            for name in ("from", "to")
        )
    except ValueError as error:
        raise RefusedError(400, "from and to are times such as 20:00.") from error
    last = end_ts if query["to"] == "00:00" else last
    if not start_ts <= first < last <= end_ts:
        raise RefusedError(400, "from must be before to.")
    return first, min(last, max(first + 1, int(house.clock())))
