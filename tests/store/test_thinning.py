"""Old measures go, and no sum changes."""

import pytest

from cw_mqtt.model import Key, Range
from cw_mqtt.store import thinning
from cw_mqtt.store.archive import Archive
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.rollups import forget, stored_energy
from cw_mqtt.store.thinning import thin
from tests.store.home import MAX_GAP_S, START_TS, Home, reading
from tests.store.test_rollups import assert_right

DAY_S = 86400
US = 1_000_000
MIDNIGHT_TS = START_TS - START_TS % DAY_S
WHOLE = Range(1, Key.TIME, (MIDNIGHT_TS - 50) * US, (MIDNIGHT_TS + 5 * DAY_S) * US)


@pytest.fixture
def thinned(home: Home) -> Home:
    """Four days of a measure each 200 s, of which the first two are thinned out."""
    start = MIDNIGHT_TS - START_TS
    powers = ((start + ts, 100.0 + ts % 7) for ts in range(0, 4 * DAY_S, 200))
    home.hear(*(reading(ts, power_w=w, night=ts % 3 == 0) for ts, w in powers))
    for _batch in range(4):
        home.store()
    return home


def thin_two_days(home: Home) -> list[int]:
    before_ts = MIDNIGHT_TS + 2 * DAY_S + 5000
    return [thin(home.engine, before_ts, MAX_GAP_S) for _ in range(4)]


@pytest.mark.parametrize("step_s", [5 * DAY_S + 50, DAY_S, 3600, 900])
def test_no_sum_changes_when_old_measures_go(thinned: Home, step_s: int) -> None:
    archive = Archive(thinned.engine, thinned.settings)
    before = archive.sums(Range(1, Key.TIME, MIDNIGHT_TS * US, WHOLE.last), step_s * US)
    with transaction(thinned.engine) as connection:
        total = stored_energy(connection, 1)

    gone = thin_two_days(thinned)

    assert gone == [431, 432, 0, 0]
    assert archive.sums(Range(1, Key.TIME, MIDNIGHT_TS * US, WHOLE.last), step_s * US) == before
    with transaction(thinned.engine) as connection:
        assert stored_energy(connection, 1) == total
    assert_right(thinned)


@pytest.mark.parametrize("step_s", [8, 1000, 7777.7, 30_000])
def test_groups_still_add_up_to_the_whole(thinned: Home, step_s: float) -> None:
    archive = Archive(thinned.engine, thinned.settings)
    chosen = Range(1, Key.TIME, (MIDNIGHT_TS + DAY_S - 700) * US, (MIDNIGHT_TS + DAY_S + 800) * US)
    thin_two_days(thinned)

    groups = [group for group in archive.sums(chosen, round(step_s * US)) if group]

    (whole,) = archive.sums(chosen, chosen.last - chosen.first)
    assert whole
    assert sum(g.day_j + g.night_j for g in groups) == pytest.approx(whole.day_j + whole.night_j)


def test_a_measure_is_not_inserted_where_the_others_are_gone(thinned: Home) -> None:
    archive = Archive(thinned.engine, thinned.settings)
    thin_two_days(thinned)

    inserted = archive.insert(1, MIDNIGHT_TS + 1000, 5000.0, night=False)

    assert inserted is False
    assert archive.insert(1, MIDNIGHT_TS + 3 * DAY_S + 1001, 5000.0, night=False) is True
    assert_right(thinned)


def test_nothing_goes_while_the_cells_are_not_built(thinned: Home) -> None:
    forget(thinned.engine)

    assert thin_two_days(thinned) == [0, 0, 0, 0]


def test_nothing_is_written_when_no_day_is_to_go(
    thinned: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    thin_two_days(thinned)
    monkeypatch.setattr(thinning, "lock", lambda *_: pytest.fail("it writes"))

    assert thin_two_days(thinned) == [0, 0, 0, 0]
