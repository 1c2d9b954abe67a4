"""The history: a day, week, month, year or all years as bars, as a table and as CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.measure.named_periods import NamedPeriod
from cw_mqtt.measure.periods import day_start, local_day
from cw_mqtt.records import PERIOD_COLUMNS, PeriodTotal, period_row
from cw_mqtt.web.page.address import COMPARED, KINDS, Shown, shown_at
from cw_mqtt.web.page.house import House
from cw_mqtt.web.page.language import Language
from cw_mqtt.web.page.now import pill_of
from cw_mqtt.web.page.period_chart import Chart, Painter
from cw_mqtt.web.page.rendering import Visit, render


@dataclass(frozen=True, slots=True)
class Card:
    """The card with the chart, as the template shows it."""

    title: str
    kind: str
    kinds: Sequence[tuple[str, str]]
    units: Sequence[tuple[str, str, str]]
    unit: str
    previous: str | None
    next: str | None
    csv: str
    energy: str
    cost: str
    notes: Sequence[str]
    chart: Chart
    marks: str
    compared: Sequence[tuple[str, str, bool]]
    between: tuple[str, str, str] | None = None


class HistoryPages:
    """Makes the card of a period for home, its own page, and its rows as CSV."""

    def __init__(self, house: House) -> None:
        self._house = house

    def html(self, visit: Visit, path: str) -> str:
        """The page of a period. Raises `RefusedError` for an address of nothing."""
        shown = shown_at(self._house, path, visit.query)
        try:
            card, away = self.card(shown, visit.t), False
        except ResourceAwayError:
            card, away = None, True
        title = card.title if card else visit.t("history")
        return render(
            "period.html",
            visit.t,
            title,
            here="history",
            pill=pill_of(self._house, visit.t),
            is_demo=self._house.is_demo,
            logged_in=visit.logged_in,
            card=card,
            away=away,
        )

    def csv(self, visit: Visit, path: str) -> str:
        """The same rows as CSV, as `cw-mqtt export --step` writes them."""
        shown = shown_at(self._house, path.removesuffix(".csv"), visit.query)
        edges = self._edges(shown)
        (totals,) = self._house.totals(shown.sensor, self._until_now(shown, edges))
        currency = self._house.contract.currency
        written = io.StringIO()
        writer = csv.writer(written, lineterminator="\n")
        writer.writerow([*PERIOD_COLUMNS, *(("cost", "currency") if currency else ())])
        for total in totals:
            writer.writerow(period_row(shown.sensor.slug, total, self._iso, currency))
        return written.getvalue()

    def today(self, sensor: SensorSettings) -> Shown:
        """The day that is shown at home."""
        day = local_day(int(self._house.clock()), self._house.zone)
        return Shown(sensor, NamedPeriod.around("day", day), "kwh", "before", {})

    def card(self, shown: Shown, t: Language) -> Card:
        """The chart of a period with all around it. Raises `ResourceAwayError`."""
        house = self._house
        edges = self._edges(shown)
        now_edges = self._until_now(shown, edges)
        other = self._other(shown)
        asked = [now_edges, [now_edges[0], now_edges[-1]]]
        asked += [other.edges(house.zone)] if other else []
        asked += [list(shown.between)] if shown.between else []
        totals, (whole, *_), *others = house.totals(shown.sensor, *asked)
        marks = others.pop(0) if other else []
        painter = self.painter(t)
        chart = painter.chart(
            shown.kind, edges, totals, marks, shown.unit, lambda ts: self._one_down(shown, ts)
        )
        chart = replace(chart, now=self._now_x(edges), shades=self._shades(shown, edges))
        return Card(
            title=self._title(shown, t),
            kind=shown.kind,
            kinds=self._kinds(shown),
            units=self._units(shown, t),
            unit=shown.unit,
            previous=self._previous(shown),
            next=self._next(shown),
            csv=shown.address(shown.period, ".csv"),
            energy=painter.energy(whole),
            cost=painter.cost(whole),
            notes=self._notes(shown, whole, t),
            chart=chart,
            marks=self._marks_words(shown, t) if any(m.energy for m in marks) else "",
            compared=self._compared(shown, t),
            between=self._between_words(shown, others, painter, t),
        )

    def painter(self, t: Language) -> Painter:
        """Draws with the contract's tariffs."""
        contract = self._house.contract
        return Painter(t, self._house.zone, contract.tariffs, contract.currency)

    def _edges(self, shown: Shown) -> list[int]:
        if shown.period:
            return shown.period.edges(self._house.zone)
        zone = self._house.zone
        this_year = local_day(int(self._house.clock()), zone).year
        sensor_id = self._house.sensor_id(shown.sensor)
        found = self._house.queries.span(sensor_id) if sensor_id is not None else None
        first = local_day(found[0], zone).year if found else this_year
        day = local_day(int(self._house.clock()), zone).replace(month=1, day=1)
        return [
            day_start(day.replace(year=year), zone)
            for year in range(min(first, this_year), this_year + 2)
        ]

    def _until_now(self, shown: Shown, edges: Sequence[int]) -> list[int]:
        now_ts = max(edges[0] + 1, self._house.measured_until(shown.sensor))
        begun = [edge for edge in edges if edge < now_ts]
        return [*begun, min(now_ts, edges[-1])] if len(begun) < len(edges) else list(edges)

    def _other(self, shown: Shown) -> NamedPeriod | None:
        """The period to compare with."""
        if not shown.period or shown.compared == "none":
            return None
        is_year = shown.compared == "year"
        return shown.period.year_before if is_year else shown.period.previous

    def _one_down(self, shown: Shown, ts: int) -> str | None:
        zone = self._house.zone
        if shown.period is None:
            return shown.address(NamedPeriod.around("year", local_day(ts, zone)))
        below = shown.period.part(ts, zone)
        return shown.address(below) if below else None

    def _now_x(self, edges: Sequence[int]) -> float | None:
        now_ts = self._house.clock()
        if not edges[0] <= now_ts < edges[-1]:
            return None
        number = next(n for n, (_, end) in enumerate(pairwise(edges)) if now_ts < end)
        part = (now_ts - edges[number]) / (edges[number + 1] - edges[number])
        return round(100 * (number + part) / (len(edges) - 1), 2)

    def _shades(self, shown: Shown, edges: Sequence[int]) -> list[tuple[float, float]]:
        """Where it is night on a day, in percent from the left."""
        if shown.kind != "day" or "night" not in self._house.contract.tariffs:
            return []
        changes = list(self._house.contract.changes(edges[0], edges[-1]))
        ends = [start for start, _ in changes[1:]] + [edges[-1]]
        length = edges[-1] - edges[0]
        return [
            (round(100 * (start - edges[0]) / length, 2), round(100 * (end - start) / length, 2))
            for (start, tariff), end in zip(changes, ends, strict=True)
            if tariff.name == "night"
        ]

    def _kinds(self, shown: Shown) -> list[tuple[str, str]]:
        now = local_day(int(self._house.clock()), self._house.zone)
        around = shown.period.first_day if shown.period else now
        if shown.period and shown.period.first_day <= now < shown.period.next_day:
            around = now  # of this month today, of a past one its first day
        named = [(kind, NamedPeriod.around(kind, around)) for kind in KINDS[:-1]]
        return [
            *((kind, shown.address(period)) for kind, period in named),
            ("years", shown.address(None)),
        ]

    def _units(self, shown: Shown, t: Language) -> list[tuple[str, str, str]]:
        currency = self._house.contract.currency
        names = {"kwh": "kWh", "eur": t.symbol(currency) if currency else "", "w": "W"}
        return [
            (unit, name, shown.address(shown.period, **{"in": unit}))
            for unit, name in names.items()
            if name
        ]

    def _previous(self, shown: Shown) -> str | None:
        if not shown.period:
            return None
        sensor_id = self._house.sensor_id(shown.sensor)
        found = self._house.queries.span(sensor_id) if sensor_id is not None else None
        if not found or shown.period.bounds(self._house.zone)[0] <= found[0]:
            return None
        return shown.address(shown.period.previous)

    def _next(self, shown: Shown) -> str | None:
        now = local_day(int(self._house.clock()), self._house.zone)
        if not shown.period or shown.period.next_day > now:
            return None
        return shown.address(shown.period.next)

    def _title(self, shown: Shown, t: Language) -> str:
        period = shown.period
        if period is None:
            title = t("all_years")
        elif period.kind == "day":
            is_old = (
                period.first_day.year != local_day(int(self._house.clock()), self._house.zone).year
            )
            title = t.day(period.first_day, weekday=True, year=is_old)
        elif period.kind == "week":
            last = period.next_day - timedelta(days=1)
            title = t("week_of", start=t.day(period.first_day), end=t.day(last, year=True))
        elif period.kind == "month":
            title = f"{t.month(period.first_day)} {period.first_day.year}"
        else:
            title = str(period.first_day.year)
        title = title[:1].upper() + title[1:]
        is_house = shown.sensor is self._house.settings.sensors[0]
        return title if is_house else f"{shown.sensor.name} · {title}"

    def _notes(self, shown: Shown, whole: PeriodTotal, t: Language) -> list[str]:
        notes = []
        if self._house.contract.currency and whole.standing_charge:
            charge = t.money(whole.standing_charge, self._house.contract.currency)
            notes.append(t("of_it_standing", cost=charge))
        now_ts = self._house.clock()
        end_ts = shown.period.bounds(self._house.zone)[1] if shown.period else now_ts + 1
        if now_ts < end_ts and shown.kind == "day":
            now = datetime.fromtimestamp(now_ts, self._house.zone)
            notes.append(t("until_time", time=t.time(now)))
        if whole.energy and whole.measured < 0.98:
            notes.append(t("measured_share", percent=t.percent(whole.measured)))
        return notes

    def _marks_words(self, shown: Shown, t: Language) -> str:
        if shown.compared == "year":
            return t("a_year_before")
        is_now = self._next(shown) is None
        return t(f"{'last' if is_now else 'before'}_{shown.kind}")

    def _compared(self, shown: Shown, t: Language) -> list[tuple[str, str, bool]]:
        if not shown.period:
            return []
        words = {"before": t("before"), "year": t("year_before"), "none": t("none")}
        return [
            (words[each], shown.address(shown.period, **{"with": each}), each == shown.compared)
            for each in COMPARED
            if shown.kind != "year" or each != "year"
        ]

    def _between_words(
        self,
        shown: Shown,
        totals: Sequence[Sequence[PeriodTotal]],
        painter: Painter,
        t: Language,
    ) -> tuple[str, str, str] | None:
        """From when, until when, and what that was; empty before anybody asked."""
        if shown.kind != "day":
            return None
        if not shown.between:
            return shown.query.get("from", ""), shown.query.get("to", ""), ""
        said = painter.sentence(totals[0][0])
        words = t("from_until", start=shown.query["from"], end=shown.query["to"], said=said)
        return shown.query["from"], shown.query["to"], words

    def _iso(self, ts: int) -> str:
        return datetime.fromtimestamp(ts, self._house.zone).isoformat()
