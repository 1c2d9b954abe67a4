"""Home: what the house uses now, today, this week, this month and this year."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.measure.named_periods import NamedPeriod
from cw_mqtt.measure.periods import day_start, local_day
from cw_mqtt.records import MICROSECONDS, Key, PeriodTotal, Range
from cw_mqtt.web.page.charts import Axis, area, axis_for, column_points, curve, heat_steps, slots
from cw_mqtt.web.page.figures import (
    DAYS_OF_FACTS,
    WHOLE,
    Comparison,
    always_on_w,
    compare,
    energy_of_year,
    forecast,
    lowest_of_days,
    week_means,
)
from cw_mqtt.web.page.history import HistoryPages
from cw_mqtt.web.page.house import House
from cw_mqtt.web.page.language import Language
from cw_mqtt.web.page.now import UNKNOWN, first_step, gauge_of, kva, now_of, pill_of
from cw_mqtt.web.page.rendering import Visit, render

HOUR_S, QUARTER_S, DAY_S = 3600, 900, 86400
COLUMN_S = 12
MOST_POINTS = 4000
WEEKS_OF_HEAT, DAYS_OF_BARS = 4, 28
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


@dataclass(frozen=True, slots=True)
class Fact:
    """A card with one figure; `bars` are left, width, height and colour, in percent."""

    name: str
    value: str
    unit: str
    words: str
    about: str = ""
    bars: Sequence[tuple[float, float, float, str]] = ()
    limit_y: float | None = None
    curves: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What changes each quarter hour at most."""

    always_on_w: float | None
    cards: Sequence[Fact]
    week: Mapping[str, Any] | None
    measured_year: float


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


class FactsOf:
    """Works out the facts about one sensor."""

    def __init__(self, house: House, sensor: SensorSettings, t: Language) -> None:
        self._house, self._sensor, self._t = house, sensor, t
        self._now_ts = house.measured_until(sensor)
        self._today = local_day(int(house.clock()), house.zone)
        self._month = NamedPeriod.around("month", self._today)
        self._currency = house.contract.currency

    def facts(self) -> Facts:
        """All of them; what there is not enough data for is left out."""
        house, zone = self._house, self._house.zone
        sensor_id = house.sensor_id(self._sensor)
        if sensor_id is None:
            return Facts(None, (), None, 0.0)
        start_ts = day_start(self._today - timedelta(days=DAYS_OF_BARS), zone)
        midnight_ts = day_start(self._today, zone)
        quarters = house.queries.cells(sensor_id, QUARTER_S, start_ts, midnight_ts)
        lowest = list(lowest_of_days(quarters, zone).values())
        hours = house.queries.cells(
            sensor_id, HOUR_S, midnight_ts - WEEKS_OF_HEAT * 7 * DAY_S, midnight_ts
        )
        month_ts, end_ts = self._month.bounds(zone)
        days = [day_start(self._month.first_day + timedelta(days=n), zone) for n in range(32)]
        last = [
            day_start(self._today - timedelta(days=n), zone) for n in range(DAYS_OF_FACTS, -1, -1)
        ]
        until_ts = max(self._now_ts, month_ts + 1)
        year_ago = day_start(self._today - timedelta(days=365), zone)
        year_ts = NamedPeriod.around("year", self._today).bounds(zone)[0]
        month_days, last_days, year, this_year, (before,) = house.totals(
            self._sensor,
            [*(day for day in days if day < until_ts), until_ts],
            last,
            [year_ago, midnight_ts],
            [year_ts, max(self._now_ts, year_ts + 1)],
            list(self._month.previous.bounds(zone)),
        )
        w = always_on_w(lowest)
        cards = [
            self._always_on(w, lowest, year[0]),
            self._peak(month_days, house.queries.cells(sensor_id, QUARTER_S, month_ts, until_ts)),
            self._end(month_days, last_days, before, end_ts),
        ]
        is_known = len(lowest) >= DAYS_OF_FACTS
        heat = self._heat(week_means(hours, zone)) if is_known else None
        return Facts(w, [card for card in cards if card], heat, this_year[0].measured)

    def _always_on(
        self, watts: float | None, lowest: Sequence[float], year: PeriodTotal
    ) -> Fact | None:
        t = self._t
        if watts is None or not year.seconds:
            return None
        kwh = energy_of_year(watts)
        share = watts / (year.kwh * 3_600_000 / year.seconds) if year.kwh > 0 else 0
        said = {"kwh": t.kwh(kwh), "percent": t.percent(min(1.0, share))}
        words = t("over_a_year", **said)
        if self._currency and year.kwh > 0:
            cost = t.money(kwh * year.energy_cost / year.kwh, self._currency, 0)
            words = t("over_a_year_cost", cost=cost, **said)
        bars = _bars([(value, "") for value in lowest], max(lowest) * 2)
        return Fact(
            t("always_on"), t.watts(watts), "W", f"{t('always_on_words')} {words}", bars=bars
        )

    def _peak(self, days: Sequence[PeriodTotal], quarters: Sequence[Any]) -> Fact | None:
        """The highest reading of the month, and the highest quarter hour."""
        t, zone = self._t, self._house.zone
        highest = [day.energy.max_w if day.energy else None for day in days]
        if not quarters or not any(highest):
            return None
        peak = max(quarters, key=lambda cell: cell.max_w)
        at = datetime.fromtimestamp(peak.start_ts, zone)
        quarter_w = max(cell.mean_w for cell in quarters)
        threshold_w = self._house.contract.threshold_w(self._now_ts)
        said = {"day": t.day(at.date()), "time": t.time(at), "quarter": t.watts(quarter_w)}
        words = t("peak_words", **said)
        unit, limit_y = "VA", None
        top = max(peak.max_w, threshold_w) * 1.02
        if threshold_w:
            left = threshold_w - peak.max_w
            key = "peak_left" if left >= 0 else "peak_over"
            words += " " + t(key, va=t.watts(abs(left)))
            unit, limit_y = t("va_of", kva=kva(threshold_w, t)), 100 - 100 * threshold_w / top
        bars = _bars(
            [(value or 0.0, "top" if value == peak.max_w else "") for value in highest], top
        )
        return Fact(
            t("peak_of_month"), t.watts(peak.max_w), unit, words, bars=bars, limit_y=limit_y
        )

    def _end(
        self,
        days: Sequence[PeriodTotal],
        last_days: Sequence[PeriodTotal],
        before: PeriodTotal,
        end_ts: int,
    ) -> Fact | None:
        """What the month will have cost."""
        t, month = self._t, self._month
        known = [day for day in days if day.energy]
        if not known or not all(day.energy for day in last_days):
            return None
        (so_far,) = self._house.totals(self._sensor, [days[0].from_ts, days[-1].until_ts])[0]
        charge = self._house.contract.standing_charge(so_far.until_ts, end_ts)
        left_s = max(0, end_ts - so_far.until_ts)
        found = forecast(so_far, last_days, left_s, charge if self._currency else 0.0)
        if found is None:
            return None
        say = self._amount
        words = t("end_of_words", amount=say(so_far))
        if before.energy and before.measured >= WHOLE:
            name = t.month(month.previous.first_day)
            words += " " + t("month_before", month=name[:1].upper() + name[1:], amount=say(before))
        value = (
            t.money(found.cost, self._currency, 0) if self._currency else t.kwh(round(found.kwh))
        )
        unit = "" if self._currency else "kWh"
        end = found.cost if self._currency else found.kwh
        curves = self._curves(days, end_ts, end, before)
        name = t("end_of", month=t.month(month.first_day))
        return Fact(name, value, unit, words, about=t("about"), curves=curves)

    def _amount(self, total: PeriodTotal) -> str:
        t = self._t
        if self._currency:
            return t.money(total.cost, self._currency)
        return t("kwh", value=t.kwh(total.kwh))

    def _curves(
        self, days: Sequence[PeriodTotal], end_ts: int, end: float, before: PeriodTotal
    ) -> list[tuple[str, str]]:
        """What has come together until each day, then to the end; the month before is a line."""
        start_ts, now_ts = days[0].from_ts, days[-1].until_ts
        total = 0.0
        points: list[tuple[float, float | None]] = [(float(start_ts), 0.0)]
        for day in days:
            total += day.cost if self._currency else day.kwh
            points.append((float(day.until_ts), total))
        last = (before.cost if self._currency else before.kwh) if before.energy else 0.0
        axis = axis_for([end, total, last])
        drawn = [
            ("so_far", curve(points, start_ts, end_ts, axis)),
            ("to_come", curve([(now_ts, total), (end_ts, end)], start_ts, end_ts, axis)),
        ]
        if before.energy and before.measured >= WHOLE:
            line = curve([(start_ts, 0.0), (end_ts, last)], start_ts, end_ts, axis)
            drawn.insert(0, ("before", line))
        return drawn

    def _heat(self, means: Sequence[float | None]) -> Mapping[str, Any]:
        t = self._t
        steps, low, high = heat_steps(means)
        cells = [
            {"step": step, "x": round(100 * (n % 24) / 24, 3), "y": round(100 * (n // 24) / 7, 3)}
            for n, step in enumerate(steps)
        ]
        known = [(value, n) for n, value in enumerate(means) if value is not None]
        _, most = max(known)
        day = t.weekday(date(2024, 1, 1) + timedelta(days=most // 24))
        return {
            "cells": cells,
            "width": round(100 / 24 - 0.35, 3),
            "height": round(100 / 7 - 0.5, 3),
            "labels": [
                (x, f"{hour} h") for x, hour in ((0, 0), (25, 6), (50, 12), (75, 18), (100, 24))
            ],
            "low": t.watts(low),
            "high": t.watts(high),
            "sentence": t("week_sentence", day=day, hour=most % 24),
        }


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


def _bars(values: Sequence[tuple[float, str]], top: float) -> list[tuple[float, float, float, str]]:
    """Left, width, height and colour of each bar."""
    rooms = slots(max(len(values), DAYS_OF_FACTS))
    return [
        (room.left, room.width, round(max(0.0, 100 * value / (top or 1)), 2), colour)
        for room, (value, colour) in zip(rooms, values, strict=False)
    ]
