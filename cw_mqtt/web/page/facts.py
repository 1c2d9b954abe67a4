"""Facts about a house: always on, the month's peak, its end, a typical week."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.config.values import DAY_S
from cw_mqtt.measure.named_periods import NamedPeriod
from cw_mqtt.measure.periods import day_start, local_day
from cw_mqtt.records import PeriodTotal
from cw_mqtt.web.page.charts import axis_for, curve, heat_steps, slots
from cw_mqtt.web.page.figures import (
    DAYS_OF_FACTS,
    WHOLE,
    always_on_w,
    energy_of_year,
    forecast,
    lowest_of_days,
    week_means,
)
from cw_mqtt.web.page.house import House
from cw_mqtt.web.page.language import Language
from cw_mqtt.web.page.now import kva

HOUR_S, QUARTER_S = 3600, 900
WEEKS_OF_HEAT, DAYS_OF_BARS = 4, 28


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


def _bars(values: Sequence[tuple[float, str]], top: float) -> list[tuple[float, float, float, str]]:
    """Left, width, height and colour of each bar."""
    rooms = slots(max(len(values), DAYS_OF_FACTS))
    return [
        (room.left, room.width, round(max(0.0, 100 * value / (top or 1)), 2), colour)
        for room, (value, colour) in zip(rooms, values, strict=False)
    ]
