"""Energy of many measures at once, with numpy: the same definition as `energy.carry`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def sums_by_span(
    ts: Integers, power_w: Floats, night: NDArray[np.bool_], max_gap_s: int, span_s: int
) -> tuple[Integers, Floats]:
    """What measures carry together in each span of time that has any.

    They are given in order, of shape (n,) each. The answer has the starts of the spans, (m,),
    and (m, 8) sums with the columns of `EnergySum`.
    """
    interval_s = np.diff(ts, prepend=ts[:1])
    measured = (interval_s > 0) & (interval_s <= max_gap_s)
    drawn_w = np.maximum(power_w, 0)
    before_w = np.concatenate((drawn_w[:1], drawn_w[:-1]))
    seconds = np.where(measured, interval_s, 0)
    energy_j = (before_w + drawn_w) / 2 * seconds
    summed = [
        np.ones(len(ts)),
        seconds,
        np.where(night, 0, energy_j),
        np.where(night, energy_j, 0),
        np.where(night, 0, power_w),
        np.where(night, power_w, 0),
    ]
    starts, first = np.unique(ts - ts % span_s, return_index=True)
    columns: list[Any] = [np.add.reduceat(each, first) for each in summed]
    columns += [np.minimum.reduceat(power_w, first), np.maximum.reduceat(power_w, first)]
    return starts, np.column_stack(columns)
