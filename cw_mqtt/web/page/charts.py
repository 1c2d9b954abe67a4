"""Where things are in a chart, in percent of its width and height. Pure.

Rectangles and labels are placed by percent and never scaled; curves are paths in a box of 100 by
100 that is stretched, with a stroke that is not.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MOST_TICKS = 5
NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
HEAT_STEPS = 6

Point = tuple[float, float | None]  # an instant, and a value or a gap


@dataclass(frozen=True, slots=True)
class Axis:
    """The values of a chart from `bottom` to `top`, with a line every `step`."""

    bottom: float
    top: float
    step: float

    @property
    def ticks(self) -> list[float]:
        """The values that have a line, from the top down."""
        count = round((self.top - self.bottom) / self.step)
        return [self.top - n * self.step for n in range(count + 1)]

    @property
    def decimals(self) -> int:
        """How many digits after the point its ticks need."""
        return next(n for n in range(4) if n == 3 or math.isclose(self.step, round(self.step, n)))

    def y(self, value: float) -> float:
        """How far from the top a value is, in percent."""
        return round(100 * (self.top - value) / (self.top - self.bottom), 2)


def axis_for(values: Sequence[float]) -> Axis:
    """An axis that holds 0 and all values, with few and round ticks."""
    low, high = min((*values, 0.0)), max((*values, 0.0))
    if low == high:
        high = 1.0
    rough = (high - low) / (MOST_TICKS - 1)
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * scale for nice in NICE if nice * scale >= rough * (1 - 1e-9))
    return Axis(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step)


@dataclass(frozen=True, slots=True)
class Slot:
    """The room of one bar: from the left, in percent; `middle` is where a label stands."""

    left: float
    width: float

    @property
    def middle(self) -> float:
        """Its middle."""
        return round(self.left + self.width / 2, 3)


def slots(count: int, gap_share: float = 0.3) -> list[Slot]:
    """Rooms for so many bars, beside each other."""
    each = 100 / max(1, count)
    return [
        Slot(round(n * each + each * gap_share / 2, 3), round(each * (1 - gap_share), 3))
        for n in range(count)
    ]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a stacked bar: its distance from the top and its height, in percent."""

    index: int
    y: float
    height: float


def stacked(axis: Axis, values: Sequence[float]) -> list[Part]:
    """The parts of a bar, the first at the bottom; what is negative hangs below 0."""
    parts = []
    above = below = 0.0
    for index, value in enumerate(values):
        start = above if value >= 0 else below
        end = start + value
        upper, lower = axis.y(max(start, end)), axis.y(min(start, end))
        if value:
            parts.append(Part(index, upper, round(lower - upper, 2)))
        above, below = (end, below) if value >= 0 else (above, end)
    return parts


def curve(points: Sequence[Point], from_ts: float, until_ts: float, axis: Axis) -> str:
    """The path of a curve in a box of 100 by 100; it is interrupted where there is no value."""
    commands, pen_down = [], False
    for ts, value in points:
        if value is None:
            pen_down = False
            continue
        x = 100 * (ts - from_ts) / (until_ts - from_ts)
        commands.append(f"{'L' if pen_down else 'M'}{x:.2f} {axis.y(value):.2f}")
        pen_down = True
    return "".join(commands)


def area(points: Sequence[Point], from_ts: float, until_ts: float, axis: Axis) -> str:
    """The path of the area between a curve and 0."""
    paths, run = [], list[tuple[float, float]]()
    for ts, value in (*points, (until_ts, None)):
        if value is not None:
            run.append((ts, value))
        elif run:
            closed = [(run[0][0], 0.0), *run, (run[-1][0], 0.0)]
            paths.append(curve(closed, from_ts, until_ts, axis) + "Z")
            run = []
    return "".join(paths)


def column_points(
    measures: Sequence[tuple[float, float]], from_ts: float, seconds: float, max_gap_s: float
) -> Iterator[Point]:
    """A curve of at most two points (lowest, highest) every `seconds`; gaps are kept."""
    column, last_ts = list[tuple[float, float]](), from_ts
    for ts, value in measures:
        is_gap = ts - last_ts > max_gap_s
        if column and (is_gap or ts - column[0][0] >= seconds):
            yield from _extremes(column)
            column = []
        if is_gap:
            yield last_ts, None
        column.append((ts, value))
        last_ts = ts
    yield from _extremes(column)


def _extremes(column: Sequence[tuple[float, float]]) -> list[Point]:
    if not column:
        return []
    low, high = min(column, key=lambda p: p[1]), max(column, key=lambda p: p[1])
    return sorted({low, high})


def heat_steps(cells: Sequence[float | None]) -> tuple[list[int | None], float, float]:
    """Which of the steps of colour each cell has, and the values where the first and last end."""
    known = sorted(value for value in cells if value is not None)
    if not known:
        return [None for _ in cells], 0.0, 0.0
    low, high = known[len(known) // 20], known[-1 - len(known) // 20]
    width = (high - low) / HEAT_STEPS or 1.0
    steps = [
        None if value is None else max(0, min(HEAT_STEPS - 1, int((value - low) / width)))
        for value in cells
    ]
    return steps, low, high
