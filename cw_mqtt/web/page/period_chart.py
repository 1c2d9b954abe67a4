"""A period as bars: its parts by tariff, its gaps, what it is compared with, and its table."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from cw_mqtt.model import JOULES_PER_KWH
from cw_mqtt.records import PeriodTotal
from cw_mqtt.web.page.charts import Axis, Slot, axis_for, slots, stacked
from cw_mqtt.web.page.figures import WHOLE
from cw_mqtt.web.page.language import Language
from cw_mqtt.web.page.now import UNKNOWN

UNITS = ("kwh", "eur", "w")
MOST_COLOURS = 6
EN_DASH = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: where it is, in percent, and what it says; `parts` are colour, top and height."""

    slot: Slot
    words: str
    value: str
    href: str | None = None
    parts: Sequence[tuple[str, float, float]] = ()
    mark_y: float | None = None
    is_gap: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """All that the template draws; `legend` is colour, words and value."""

    unit: str
    ticks: Sequence[str]
    lines: Sequence[float]
    labels: Sequence[tuple[float, str]]
    bars: Sequence[Bar]
    legend: Sequence[tuple[str, str, str]]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    has_gap: bool = False
    shades: Sequence[tuple[float, float]] = ()
    now: float | None = None


@dataclass(frozen=True, slots=True)
class Painter:
    """Draws periods in one language; `currency` None is a house without a contract."""

    t: Language
    zone: ZoneInfo
    tariffs: Sequence[str]
    currency: str | None
    colours: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        ordered = sorted(self.tariffs, key=("day", "night").__contains__, reverse=True)
        colours = {name: f"r{min(n, MOST_COLOURS - 1)}" for n, name in enumerate(ordered)}
        object.__setattr__(self, "colours", colours)

    def chart(
        self,
        kind: str,
        edges: Sequence[int],
        totals: Sequence[PeriodTotal],
        marks: Sequence[PeriodTotal],
        unit: str,
        href: Callable[[int], str | None],
    ) -> Chart:
        """The bars between `edges`, of which those of the future have no total."""
        values = [self._values(total, unit) for total in totals]
        ends = [sum(self._values(mark, unit).values()) if mark.energy else None for mark in marks]
        heights = [height for each in values for height in _heights(each.values())]
        axis = axis_for([*heights, *(end for end in ends if end is not None)])
        rooms = slots(len(edges) - 1)
        bars = [
            self._bar(kind, edges[n], edges[n + 1], rooms[n], unit, axis, total, href(edges[n]))
            for n, total in enumerate(self._padded(edges, totals))
        ]
        marked = [
            self._marked(bar, axis, ends[n] if n < len(ends) else None)
            for n, bar in enumerate(bars)
        ]
        return Chart(
            unit=unit,
            ticks=self._ticks(axis, unit),
            lines=[axis.y(tick) for tick in axis.ticks],
            labels=self._labels(kind, edges, rooms),
            bars=marked,
            legend=self._legend(totals, unit),
            columns=self._columns(),
            rows=[self._row(kind, total) for total in totals],
            has_gap=any(bar.is_gap for bar in bars),
        )

    def name(self, kind: str, from_ts: int, until_ts: int) -> str:
        """What a bar of such a period is called."""
        start, end = (datetime.fromtimestamp(ts, self.zone) for ts in (from_ts, until_ts))
        if kind == "day":
            return f"{self.t.time(start)}{EN_DASH}{self.t.time(end)}"
        if kind in ("week", "month"):
            return self.t.day(start.date(), weekday=True)
        return self.t.month(start.date()) if kind == "year" else str(start.year)

    def energy(self, total: PeriodTotal) -> str:
        """The energy with its unit; at least so much where there are gaps."""
        kwh = self.t("kwh", value=self.t.kwh(total.kwh))
        return kwh if total.measured >= WHOLE else self.t("at_least", value=kwh)

    def cost(self, total: PeriodTotal) -> str:
        """What it costs; empty without a contract."""
        return self.t.money(total.cost, self.currency) if self.currency else ""

    def sentence(self, total: PeriodTotal) -> str:
        """A period in words: energy, cost, and what is not known of it."""
        if not total.energy:
            return self.t("not_measured")
        said = [self.energy(total), self.cost(total)]
        if total.measured < WHOLE:
            said.append(self.t("measured_share", percent=self.t.percent(total.measured)))
        return ", ".join(filter(None, said))

    def _padded(
        self, edges: Sequence[int], totals: Sequence[PeriodTotal]
    ) -> Sequence[PeriodTotal | None]:
        return [*totals, *[None] * (len(edges) - 1 - len(totals))]

    def _values(self, total: PeriodTotal, unit: str) -> dict[str, float]:
        """The parts of a bar from the bottom up, by colour."""
        if not total.energy:
            return {}
        if unit == "w":
            return {"r0": sum(total.energy.mean_w)}
        if unit == "eur":
            return {"standing": total.standing_charge, "r0": total.energy_cost}
        by_name = {name: j / JOULES_PER_KWH for name, j in total.tariffs_j.items()}
        below = sorted(by_name, key=lambda name: name == "day")
        return {self.colours.get(name, "r0"): by_name[name] for name in below}

    def _bar(
        self,
        kind: str,
        from_ts: int,
        until_ts: int,
        slot: Slot,
        unit: str,
        axis: Axis,
        total: PeriodTotal | None,
        href: str | None,
    ) -> Bar:
        words = self.name(kind, from_ts, until_ts)
        if total is None:
            return Bar(slot, words, "")
        values = self._values(total, unit)
        parts = stacked(axis, list(values.values()))
        colours = list(values)
        drawn = [(colours[part.index], part.y, part.height) for part in parts]
        value = self.sentence(total)
        if unit == "w" and total.energy:
            value = f"{self.t('watts', value=self.t.watts(sum(total.energy.mean_w)))}, {value}"
        is_gap = total.measured < WHOLE
        return Bar(slot, words, value, href if total.energy else None, drawn, None, is_gap)

    def _marked(self, bar: Bar, axis: Axis, end: float | None) -> Bar:
        if end is None:
            return bar
        return Bar(bar.slot, bar.words, bar.value, bar.href, bar.parts, axis.y(end), bar.is_gap)

    def _ticks(self, axis: Axis, unit: str) -> list[str]:
        scale, name = (1000, "kW") if unit == "w" and axis.top >= 1000 else (1, "")
        name = name or {"kwh": "kWh", "w": "W", "eur": ""}[unit]
        decimals = Axis(axis.bottom / scale, axis.top / scale, axis.step / scale).decimals
        if unit == "eur" and decimals:
            decimals = 2
        first, *others = (self.t.number(tick / scale, decimals) for tick in axis.ticks)
        if unit == "eur":
            first = self.t.money(axis.top, self.currency or "EUR", decimals)
        return [f"{first} {name}".strip(), *others]

    def _labels(
        self, kind: str, edges: Sequence[int], rooms: Sequence[Slot]
    ) -> list[tuple[float, str]]:
        starts = [datetime.fromtimestamp(ts, self.zone) for ts in edges[:-1]]
        if kind == "day":
            hours = [(rooms[n].left, start.hour) for n, start in enumerate(starts)]
            marked = {hour: x for x, hour in reversed(hours) if hour % 6 == 0}
            return [*((x, f"{hour} h") for hour, x in sorted(marked.items())), (100.0, "24 h")]
        if kind == "week":
            return [
                (room.middle, self.t.short_weekdays()[start.weekday()])
                for room, start in zip(rooms, starts, strict=True)
            ]
        if kind == "month":
            shown = [n for n, start in enumerate(starts) if start.day in (1, 8, 15, 22, 29)]
            return [(rooms[n].middle, str(starts[n].day)) for n in shown]
        if kind == "year":
            names = [self.t.initial(start.date()) for start in starts]
            return [(room.middle, name) for room, name in zip(rooms, names, strict=True)]
        step = len(starts) // 8 + 1
        return [(rooms[n].middle, str(starts[n].year)) for n in range(0, len(starts), step)]

    def _legend(self, totals: Sequence[PeriodTotal], unit: str) -> list[tuple[str, str, str]]:
        if unit == "w":
            return []
        if unit == "eur":
            energy = sum(total.energy_cost for total in totals)
            charge = sum(total.standing_charge for total in totals)
            return [
                ("r0", self.t("energy"), self.t.money(energy, self.currency or "EUR")),
                ("standing", self.t("standing_charge"), self.t.money(charge, self.currency or "")),
            ]
        sums = {
            name: sum(total.tariffs_j.get(name, 0.0) for total in totals) for name in self.colours
        }
        return [
            (colour, self.t.rate(name), self.t.kwh(sums[name] / JOULES_PER_KWH))
            for name, colour in self.colours.items()
            if sums[name]
        ]

    def _columns(self) -> list[str]:
        costs = [self.t("cost"), self.t("standing_charge")] if self.currency else []
        rates = [self.t.rate(name) for name in self.colours]
        powers = [self.t(key) for key in ("mean_power", "lowest", "highest", "measured")]
        return [self.t("period"), "kWh", *rates, *costs, *powers]

    def _row(self, kind: str, total: PeriodTotal) -> list[str]:
        name = self.name(kind, total.from_ts, total.until_ts)
        if not total.energy:
            return [name, *[UNKNOWN] * (len(self._columns()) - 2), self.t.percent(0)]
        rates = [
            self.t.kwh(total.tariffs_j.get(tariff, 0.0) / JOULES_PER_KWH) for tariff in self.colours
        ]
        costs = [total.cost, total.standing_charge] if self.currency else []
        powers = (sum(total.energy.mean_w), total.energy.min_w, total.energy.max_w)
        return [
            name,
            self.t.kwh(total.kwh),
            *rates,
            *(self.t.money(cost, self.currency or "") for cost in costs),
            *(self.t("watts", value=self.t.watts(power)) for power in powers),
            self.t.percent(total.measured),
        ]


def _heights(parts: Iterable[float]) -> tuple[float, float]:
    """How far a stack reaches above and below 0."""
    values = list(parts)
    return sum(v for v in values if v > 0), sum(v for v in values if v < 0)
