"""Old measures go, and no sum changes."""

from datetime import timedelta

import pytest

from cw_mqtt.model import Verdict
from cw_mqtt.records import Key, Range
from cw_mqtt.store import retention
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.retention import delete_oldest_day
from cw_mqtt.store.rollups import forget
from cw_mqtt.store.sums import stored_energy
from cw_mqtt.store.web_queries import WebQueries
from tests.home import MAX_GAP_S, START_TS, Home, reading
from tests.store.test_rollups import assert_right

DAY_S = 86400
US = 1_000_000
MIDNIGHT_TS = START_TS - START_TS % DAY_S
WHOLE = Range(1, Key.TIME, (MIDNIGHT_TS - 50) * US, (MIDNIGHT_TS + 8 * DAY_S) * US)


TWO_DAYS = timedelta(days=2)


@pytest.fixture
def thinned(home: Home) -> Home:
    """Seven days of a measure each 300 s, of which the first two are thinned out."""
    start = MIDNIGHT_TS - START_TS
    powers = ((start + ts, 100.0 + ts % 7) for ts in range(0, 7 * DAY_S, 300))
    home.hear(*(reading(ts, power_w=w, night=ts % 3 == 0) for ts, w in powers))
    for _batch in range(5):
        home.store()
    return home


def let_go(home: Home, now_ts: float = MIDNIGHT_TS + 7 * DAY_S) -> list[int]:
    return [delete_oldest_day(home.engine, TWO_DAYS, now_ts, MAX_GAP_S) for _ in range(4)]


@pytest.mark.parametrize("step_s", [8 * DAY_S + 50, DAY_S, 3600, 900])
def test_no_sum_changes_when_old_measures_go(thinned: Home, step_s: int) -> None:
    archive = WebQueries(thinned.engine, thinned.settings)
    before = archive.sums(Range(1, Key.TIME, MIDNIGHT_TS * US, WHOLE.last), step_s * US)
    with transaction(thinned.engine) as connection:
        total = stored_energy(connection, 1, MAX_GAP_S)

    gone = let_go(thinned)

    assert gone == [287, 288, 0, 0]
    assert archive.sums(Range(1, Key.TIME, MIDNIGHT_TS * US, WHOLE.last), step_s * US) == before
    with transaction(thinned.engine) as connection:
        assert stored_energy(connection, 1, MAX_GAP_S) == total
    assert_right(thinned)


def test_what_was_set_aside_goes_with_them(thinned: Home) -> None:
    days = (reading(MIDNIGHT_TS - START_TS + n * DAY_S, verdict=Verdict.SETTLING) for n in range(7))
    thinned.hear(*days)
    thinned.store()

    let_go(thinned)

    assert thinned.ask("SELECT count(*) FROM set_aside") == [(5,)]


@pytest.mark.parametrize("step_s", [8, 1000, 7777.7, 30_000])
def test_groups_still_add_up_to_the_whole(thinned: Home, step_s: float) -> None:
    archive = WebQueries(thinned.engine, thinned.settings)
    chosen = Range(1, Key.TIME, (MIDNIGHT_TS + DAY_S - 700) * US, (MIDNIGHT_TS + DAY_S + 800) * US)
    let_go(thinned)

    groups = [group for group in archive.sums(chosen, round(step_s * US)) if group]

    (whole,) = archive.sums(chosen, chosen.last - chosen.first)
    assert whole
    assert sum(g.day_j + g.night_j for g in groups) == pytest.approx(whole.day_j + whole.night_j)


def test_a_measure_is_not_inserted_where_the_others_are_gone(thinned: Home) -> None:
    archive = WebQueries(thinned.engine, thinned.settings)
    let_go(thinned)

    inserted = archive.insert(1, MIDNIGHT_TS + 1000, 5000.0, night=False)

    assert inserted is False
    assert archive.insert(1, MIDNIGHT_TS + 3 * DAY_S + 1001, 5000.0, night=False) is True
    assert_right(thinned)


def test_nothing_goes_while_the_cells_are_not_built(thinned: Home) -> None:
    forget(thinned.engine)

    assert let_go(thinned) == [0, 0, 0, 0]


def test_nothing_is_written_when_no_day_is_to_go(
    thinned: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go(thinned)
    monkeypatch.setattr(retention, "lock", lambda *_: pytest.fail("it writes"))

    assert let_go(thinned) == [0, 0, 0, 0]


@pytest.mark.parametrize("began_s", [0, DAY_S - 900])
def test_a_clock_years_ahead_deletes_nothing_that_is_to_be_kept(
    thinned: Home, began_s: int
) -> None:
    ahead_s = MIDNIGHT_TS - START_TS + 3 * 365 * DAY_S + began_s
    thinned.hear(*(reading(ts) for ts in range(ahead_s, ahead_s + 1800, 8)))
    thinned.store()

    let_go(thinned, START_TS + ahead_s + 1800)
    let_go(thinned, START_TS + ahead_s + 1800)

    kept = thinned.ask(f"SELECT min(timestamp) FROM measures WHERE timestamp > {MIDNIGHT_TS}")
    assert kept[0][0] <= MIDNIGHT_TS + 5 * DAY_S - MAX_GAP_S


def test_measures_in_the_future_let_none_go(thinned: Home) -> None:
    archive = WebQueries(thinned.engine, thinned.settings)
    for year in range(1, 6):
        assert archive.insert(1, MIDNIGHT_TS + year * 365 * DAY_S, 100.0, night=False)

    assert let_go(thinned) == [287, 288, 0, 0]


@pytest.mark.parametrize("now_ts", [0.0, -1e9, MIDNIGHT_TS + 3 * DAY_S])
def test_a_clock_that_is_behind_lets_none_go(thinned: Home, now_ts: float) -> None:
    assert let_go(thinned, now_ts) == [0, 0, 0, 0]


def test_after_a_long_silence_nothing_goes_until_as_much_was_measured(thinned: Home) -> None:
    later_ts = MIDNIGHT_TS + 100 * DAY_S
    thinned.hear(reading(later_ts - START_TS), reading(later_ts - START_TS + 900))
    for _batch in range(2):
        thinned.store()

    assert let_go(thinned, later_ts + 10) == [287, 288, 288, 0]
