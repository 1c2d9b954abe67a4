"""Home: what the house uses now, today, this week, this month and this year."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.measure.named_periods import NamedPeriod
from cw_mqtt.measure.periods import day_start, local_day
from cw_mqtt.records import MICROSECONDS, Key, PeriodTotal, Range
from cw_mqtt.web.page.charts import Axis, area, axis_for, column_points, curve
from cw_mqtt.web.page.facts import Facts, FactsOf
from cw_mqtt.web.page.figures import (
    WHOLE,
    Comparison,
    compare,
)
from cw_mqtt.web.page.history import HistoryPages
from cw_mqtt.web.page.house import House
from cw_mqtt.web.page.language import Language
from cw_mqtt.web.page.now import UNKNOWN, first_step, gauge_of, now_of, pill_of
from cw_mqtt.web.page.rendering import Visit, render

HOUR_S, QUARTER_S = 3600, 900
COLUMN_S = 12
MOST_POINTS = 4000
ENTRIES = {"day": "today", "week": "this_week", "month": "this_month", "year": "this_year"}
LAST = {"day": "yesterday", "week": "last_week"}
SLIGHT = 0.005  # less of a change is none


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the consumption: until now, beside the same time before."""

    name: str
    href: str
    kwh: str
    cost: str
    is_least: bool
    change: str
    tone: str
    against: str


class HomePage:
    """Makes the first page; `facts` are kept for a quarter hour, by sensor and language."""

    def __init__(self, house: House, history: HistoryPages) -> None:
        self._house = house
        self._history = history
        self._facts: dict[tuple[str, str], tuple[int, Facts]] = {}

    def html(self, visit: Visit) -> str:
        """The page as of now; before the first measure, the way there."""
        house, t = self._house, visit.t
        common = {
            "pill": pill_of(house, t),
            "is_demo": house.is_demo,
            "logged_in": visit.logged_in,
            "here": "home",
        }
        sensor = house.sensor(visit.query.get("sensor"))
        now = now_of(house, sensor, t)
        if not house.state(sensor).latest and (step := first_step(house)) < 4:
            steps = ("step_receiver", "step_heard", "step_key", "step_measure")
            words = [t(key) for key in steps]
            return render(
                "first_run.html", t, t("welcome"), steps=words, done=step, now=now, **common
            )
        try:
            stored = self._stored(sensor, t)
        except ResourceAwayError:
            stored = dict.fromkeys(("hour", "ledger", "card", "others", "facts"))
        state = house.state(sensor)
        gauge = gauge_of(house, state.latest.power_w, t) if state.latest else None
        return render("home.html", t, t("home"), now=now, gauge=gauge, **stored, **common)

    def _stored(self, sensor: SensorSettings, t: Language) -> dict[str, Any]:
        """What the database knows."""
        facts = self.facts(sensor, t)
        return {
            "facts": facts,
            "hour": self._hour(sensor, facts.always_on_w, t),
            "ledger": self._ledger(sensor, t),
            "card": self._history.card(self._history.today(sensor), t),
            "others": self._others(t),
        }

    def _hour(
        self, sensor: SensorSettings, always_on: float | None, t: Language
    ) -> Mapping[str, Any]:
        house, now_ts = self._house, int(self._house.clock())
        from_ts = now_ts - HOUR_S
        sensor_id = house.sensor_id(sensor)
        between = (from_ts * MICROSECONDS, (now_ts + 1) * MICROSECONDS)
        found = (
            house.queries.measures(Range(sensor_id, Key.TIME, *between), MOST_POINTS)
            if sensor_id is not None
            else []
        )
        measures = [(float(m.timestamp), m.value_w) for m in found]
        points = list(column_points(measures, from_ts, COLUMN_S, house.settings.energy.max_gap_s))
        axis = axis_for([value for _, value in points if value is not None])
        scale = 1000 if axis.top >= 1000 else 1
        decimals = Axis(axis.bottom / scale, axis.top / scale, axis.step / scale).decimals
        ticks = [t.number(tick / scale, decimals) for tick in axis.ticks]
        ticks[0] += " kW" if scale == 1000 else " W"
        quarters = [(x, from_ts + HOUR_S * x / 100) for x in (0, 25, 50, 75, 100)]
        labels = [(x, t.time(datetime.fromtimestamp(ts, house.zone))) for x, ts in quarters]
        values = [value for _, value in measures]
        low, high = (t.watts(f(values)) if values else UNKNOWN for f in (min, max))
        return {
            "ticks": ticks,
            "lines": [axis.y(tick) for tick in axis.ticks],
            "labels": labels,
            "area": area(points, from_ts, now_ts, axis),
            "curve": curve(points, from_ts, now_ts, axis),
            "sentence": t("hour_sentence", low=low, high=high),
            "floor": axis.y(always_on) if always_on is not None and points else None,
            "floor_words": t("always_on_w", w=t.watts(always_on)) if always_on is not None else "",
        }

    def _ledger(self, sensor: SensorSettings, t: Language) -> list[Entry]:
        house, now_ts = self._house, self._house.measured_until(sensor)
        today = local_day(int(house.clock()), house.zone)
        periods = [NamedPeriod.around(kind, today) for kind in ENTRIES]
        asked = []
        for period in periods:
            start_ts = period.bounds(house.zone)[0]
            asked += [[start_ts, max(now_ts, start_ts + 1)], self._same_moment(period, now_ts)]
        found = house.totals(sensor, *asked)
        if not any(total.energy for (total,) in found[::2]):
            return []
        pairs = zip(periods, found[::2], found[1::2], strict=True)
        return [self._entry(sensor, period, now[0], before[0], t) for period, now, before in pairs]

    def _same_moment(self, period: NamedPeriod, now_ts: int) -> list[int]:
        """The time of the period before (a month: of the year before) up to the same moment."""
        zone = self._house.zone
        other = period.year_before if period.kind == "month" else period.previous
        start_ts, end_ts = other.bounds(zone)
        now = datetime.fromtimestamp(now_ts, zone)
        days = (now.date() - period.first_day).days
        if period.kind == "year":
            day = _same_day(other.first_day.year, now.date())
        else:
            day = other.first_day + timedelta(days=days)
        same = int(datetime.combine(day, now.time(), zone).timestamp())
        return [start_ts, max(start_ts + 1, min(same, end_ts))]

    def _entry(
        self,
        sensor: SensorSettings,
        period: NamedPeriod,
        now: PeriodTotal,
        before: PeriodTotal,
        t: Language,
    ) -> Entry:
        found = compare(now, before)
        change, tone = change_words(found, t)
        other = period.year_before if period.kind == "month" else period.previous
        is_house = sensor is self._house.settings.sensors[0]
        currency = self._house.contract.currency
        return Entry(
            name=t(ENTRIES[period.kind]),
            href=f"/{period.kind}/{period.name}" + f"?sensor={sensor.slug}" * (not is_house),
            kwh=t.kwh(now.kwh),
            cost=t.money(now.cost, currency) if currency else "",
            is_least=now.energy is not None and now.measured < WHOLE,
            change=change,
            tone=tone,
            against=against_words(other, found, t),
        )

    def _others(self, t: Language) -> list[Mapping[str, str]]:
        """The sensors after the first, each with its power and its day."""
        house, now_ts = self._house, int(self._house.clock())
        start_ts = day_start(local_day(now_ts, house.zone), house.zone)
        rows: list[Mapping[str, str]] = []
        for sensor in house.settings.sensors[1:]:
            (today,) = house.totals(sensor, [start_ts, max(now_ts, start_ts + 1)])[0]
            state = house.state(sensor)
            silent = house.is_silent(sensor, now_ts)
            power = t("watts", value=t.watts(state.latest.power_w)) if state.latest else UNKNOWN
            rows.append(
                {
                    "name": sensor.name,
                    "href": f"/?sensor={sensor.slug}",
                    "power": UNKNOWN if silent else power,
                    "kwh": t("kwh", value=t.kwh(today.kwh)),
                    "silent": "silent" if silent else "",
                }
            )
        return rows

    def facts(self, sensor: SensorSettings, t: Language) -> Facts:
        """Always on, the month's peak, its end, a typical week."""
        quarter = int(self._house.clock()) // QUARTER_S
        kept = self._facts.get((sensor.slug, t.code))
        if kept and kept[0] == quarter:
            return kept[1]
        facts = FactsOf(self._house, sensor, t).facts()
        self._facts[sensor.slug, t.code] = quarter, facts
        return facts


def change_words(found: Comparison | None, t: Language) -> tuple[str, str]:
    """How much more or less, and its colour."""
    if not found or found.change is None:
        return "", ""
    tone = "" if abs(found.change) < SLIGHT else "more" if found.change > 0 else "less"
    words = t.percent(found.change, sign=True)
    return (words if found.is_sure else f"≈ {words}"), tone


def against_words(other: NamedPeriod, found: Comparison | None, t: Language) -> str:
    """What it is compared with; why it is not, when too little was measured."""
    if not found:
        return ""
    name = t(LAST[other.kind]) if other.kind in LAST else str(other.first_day.year)
    if other.kind == "month":
        name = f"{t.short_month(other.first_day)} {other.first_day.year}"
    percent = t.percent(found.measured_before)
    if found.change is None:
        return t("not_compared", period=name[:1].upper() + name[1:], percent=percent)
    if found.is_sure or found.measured_before >= 0.99:
        return name
    return f"{name} · {t('measured_share', percent=percent)}"


def _same_day(year: int, day: date) -> date:
    """The same day in another year; of 29 February the 28th."""
    try:
        return day.replace(year=year)
    except ValueError:
        return day.replace(year=year, day=28)
