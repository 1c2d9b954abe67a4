"""Where things are in a chart."""

from itertools import pairwise

import pytest

from cw_mqtt.web.page.charts import (
    Part,
    area,
    axis_for,
    column_points,
    curve,
    heat_steps,
    slots,
    stacked,
)


@pytest.mark.parametrize(
    ("values", "ticks", "decimals"),
    [
        ([3.6], [4, 3, 2, 1, 0], 0),
        ([2.7, 0.1], [3, 2, 1, 0], 0),
        ([0.9], [1, 0.75, 0.5, 0.25, 0], 2),
        ([], [1, 0.75, 0.5, 0.25, 0], 2),
        ([0.0], [1, 0.75, 0.5, 0.25, 0], 2),
        ([9999], [10000, 7500, 5000, 2500, 0], 0),
        ([-1.5, 2.0], [2, 1, 0, -1, -2], 0),
        ([0.04], [0.04, 0.03, 0.02, 0.01, 0], 2),
    ],
)
def test_an_axis_holds_all_values_with_round_ticks(values, ticks, decimals):
    axis = axis_for(values)

    assert axis.ticks == pytest.approx(ticks)
    assert axis.decimals == decimals
    assert all(0 <= axis.y(value) <= 100 for value in values)


def test_bars_stand_side_by_side_within_the_chart():
    rooms = slots(24)

    assert all(room.left + room.width <= after.left for room, after in pairwise(rooms))
    assert rooms[0].left > 0
    assert rooms[-1].left + rooms[-1].width < 100


def test_parts_of_a_bar_are_stacked_from_the_bottom():
    parts = stacked(axis_for([4.0]), [1.0, 2.0])

    assert parts == [Part(0, 75.0, 25.0), Part(1, 25.0, 50.0)]


def test_what_is_produced_hangs_below_zero():
    parts = stacked(axis_for([2.0, -2.0]), [-1.0, 1.0])

    assert parts == [Part(0, 50.0, 25.0), Part(1, 25.0, 25.0)]


def test_a_part_that_is_nothing_has_no_rectangle():
    assert [part.index for part in stacked(axis_for([1.0]), [0.0, 1.0])] == [1]


def test_a_curve_is_interrupted_where_nothing_was_measured():
    points = [(0, 1.0), (5, 2.0), (6, None), (8, 4.0), (10, 0.0)]

    path = curve(points, 0, 10, axis_for([4.0]))

    assert path == "M0.00 75.00L50.00 50.00M80.00 0.00L100.00 100.00"


def test_the_area_of_each_run_is_closed_at_zero():
    points = [(0, 4.0), (5, 4.0), (6, None), (8, 4.0)]

    path = area(points, 0, 10, axis_for([4.0]))

    assert path.count("Z") == 2
    assert path.startswith("M0.00 100.00L0.00 0.00L50.00 0.00L50.00 100.00Z")


def test_many_measures_become_their_extremes_and_gaps_stay():
    measures = [(ts, 100.0 if ts != 64 else 3000.0) for ts in range(0, 160, 8)]
    measures += [(1000, 50.0)]

    points = list(column_points(measures, 0, 40, 300))

    assert (64, 3000.0) in points
    assert len(points) < len(measures)
    assert points[-2:] == [(152, None), (1000, 50.0)]


def test_no_measure_is_no_point():
    assert list(column_points([], 0, 40, 300)) == []


def test_heat_has_six_steps_and_unknown_cells():
    steps, low, high = heat_steps([None, *range(100)])

    assert steps[0] is None
    assert set(steps[1:]) == set(range(6))
    assert (low, high) == (5, 94)


@pytest.mark.parametrize("cells", [[], [None, None]])
def test_without_values_there_is_no_heat(cells):
    assert heat_steps(cells) == ([None for _ in cells], 0.0, 0.0)
