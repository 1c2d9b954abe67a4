"""Energy in bulk is energy one by one."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cw_mqtt.measure.bulk import sums_by_span
from cw_mqtt.measure.energy import carry

MAX_GAP_S = 300
SPAN_S = 900

measures = st.lists(
    st.tuples(st.integers(0, 4000), st.integers(-50, 9000).map(float), st.booleans()), min_size=1
).map(sorted)


@given(measures)
def test_each_span_has_what_its_measures_carry_one_by_one(rows: list) -> None:
    ts, power_w, night = map(np.array, zip(*rows, strict=True))

    starts, sums = sums_by_span(ts, power_w, night, MAX_GAP_S, SPAN_S)

    one_by_one: dict[int, list[float]] = {}
    for (ts0, w0, _), (ts1, w1, is_night) in pairwise([(-MAX_GAP_S - 1, 0.0, False), *rows]):
        carried = carry(ts0, w0, ts1, w1, MAX_GAP_S)
        cell = one_by_one.setdefault(ts1 // SPAN_S * SPAN_S, [0, 0, 0.0, 0.0])
        cell[0] += 1
        cell[1] += carried.seconds
        cell[2 + is_night] += carried.energy_j
    assert starts.tolist() == sorted(one_by_one)
    assert sums[:, :4] == pytest.approx(np.array([one_by_one[start] for start in starts]))


def test_lowest_highest_and_added_powers_are_those_of_the_span() -> None:
    ts, power_w, night = np.array([0, 8, 900]), np.array([5.0, 7.0, 3.0]), np.array([0, 1, 0]) == 1

    _, sums = sums_by_span(ts, power_w, night, MAX_GAP_S, SPAN_S)

    assert sums[:, 4:].tolist() == [[5, 7, 5, 7], [3, 0, 3, 3]]
