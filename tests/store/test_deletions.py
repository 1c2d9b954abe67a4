"""What is deleted over the API can be brought back for a month, on both databases."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, text

from cw_mqtt.errors import BusyError, UsageError
from cw_mqtt.model import Era
from cw_mqtt.records import Deletion, Key, Range
from cw_mqtt.store import deletions
from cw_mqtt.store.deletions import KEPT_S, all_deletions, forget_some, undelete_in_steps
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.schema import repair_sequences
from cw_mqtt.store.web_queries import WebQueries
from tests.home import AUTHOR, MAX_GAP_S, START_TS, Home, reading
from tests.store.test_rollups import assert_right

US = 1_000_000
EVERYTHING = Range(1, Key.TIME, 0, 10**18)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletions, "DELETED_AT_ONCE", 7)
    monkeypatch.setattr(deletions, "BETWEEN_STEPS_S", 0)


@pytest.fixture
def filled(home: Home) -> Home:
    """Two sensors, the first with thirty measures in an hour, of which two are in one second."""
    home.name_sensors({"main": "CitizenWatt", "garage": "Garage"})
    home.hear(*(reading(ts * 120, power_w=100.0 + ts) for ts in range(30)))
    home.hear(reading(120), reading(60, "garage"))
    home.store()
    return home


def rows(home: Home) -> list[tuple[Any, ...]]:
    return home.ask("SELECT * FROM measures ORDER BY id")


def all_sums(home: Home) -> list[Any]:
    chosen = Range(1, Key.TIME, (START_TS - 900) * US, (START_TS + 9000) * US)
    return WebQueries(home.engine, home.settings).sums(chosen, 900 * US)


def undelete(home: Home, number: int) -> int:
    return sum(undelete_in_steps(partial(transaction, home.engine), number, MAX_GAP_S))


@pytest.mark.parametrize(
    "chosen",
    [
        EVERYTHING,
        Range(1, Key.TIME, (START_TS + 100) * US, (START_TS + 1000) * US),
        Range(1, Key.ID, 3, 20),
        Range(1, Key.POSITION, -12, -2),
        Range(1, Key.POSITION, -1, 0),
    ],
)
def test_what_was_deleted_comes_back_as_it_was(filled: Home, chosen: Range) -> None:
    before, sums = rows(filled), all_sums(filled)

    deleted = filled.delete(chosen)
    assert len(rows(filled)) == len(before) - deleted
    assert_right(filled)

    assert undelete(filled, 1) == deleted
    assert rows(filled) == before
    assert all_sums(filled) == sums
    assert_right(filled)


def test_a_deletion_says_who_when_and_what(filled: Home) -> None:
    filled.now_ts = START_TS + 5000.5

    filled.delete(Range(1, Key.TIME, (START_TS + 240) * US, (START_TS + 1000) * US))

    assert all_deletions(filled.engine) == [
        Deletion(1, 1, START_TS + 5000, AUTHOR, START_TS + 240, START_TS + 960, 7)
    ]


def test_it_comes_back_once(filled: Home) -> None:
    filled.delete(EVERYTHING)
    undelete(filled, 1)

    with pytest.raises(UsageError, match="already back"):
        undelete(filled, 1)

    assert all_deletions(filled.engine) == []


def test_numbers_are_not_given_twice(filled: Home) -> None:
    filled.delete(Range(1, Key.POSITION, -1, 0))
    forget(filled)

    filled.delete(Range(1, Key.POSITION, -1, 0))

    assert [each.number for each in all_deletions(filled.engine)] == [2]
    with pytest.raises(UsageError, match="no deletion 1"):
        undelete(filled, 1)


def test_a_deletion_that_is_broken_off_is_one_of_what_is_gone(filled: Home) -> None:
    before = rows(filled)
    steps = WebQueries(filled.engine, filled.settings).delete(EVERYTHING, AUTHOR)

    so_far = next(steps)
    steps.close()

    assert all_deletions(filled.engine) == [replace(so_far, measures=7)]
    assert len(rows(filled)) == len(before) - 7
    assert_right(filled)
    undelete(filled, so_far.number)
    assert rows(filled) == before


def test_one_that_is_broken_off_while_it_comes_back_goes_on(filled: Home) -> None:
    before = rows(filled)
    filled.delete(EVERYTHING)

    steps = undelete_in_steps(partial(transaction, filled.engine), 1, MAX_GAP_S)
    assert next(steps) == 7
    steps.close()

    assert_right(filled)
    assert all_deletions(filled.engine)[0].measures == 31 - 7
    assert undelete(filled, 1) == 31 - 7
    assert rows(filled) == before


def test_others_write_between_the_steps(filled: Home) -> None:
    insert = partial(WebQueries(filled.engine, filled.settings).insert, 1, night=False)
    steps = WebQueries(filled.engine, filled.settings).delete(EVERYTHING, AUTHOR)

    next(steps)
    assert insert(START_TS, 1.0)
    assert list(steps)[-1].measures == 31

    assert filled.ask("SELECT value FROM measures WHERE sensor_id = 1") == [(1.0,)]
    assert_right(filled)


def test_positions_are_those_of_the_beginning(filled: Home) -> None:
    steps = WebQueries(filled.engine, filled.settings).delete(
        Range(1, Key.POSITION, -20, 0), AUTHOR
    )

    next(steps)
    filled.hear(reading(5000))
    filled.store()

    assert list(steps)[-1].measures == 20
    assert filled.stored()[-1] == 5000


def test_an_id_that_is_taken_is_said(filled: Home) -> None:
    filled.delete(Range(1, Key.ID, 3, 4))
    filled.tell(
        f"INSERT INTO measures (id, sensor_id, value, timestamp) VALUES (3, 2, 1, {START_TS})"
    )

    with pytest.raises(UsageError, match="another measure has the id 3"):
        undelete(filled, 1)


def test_measures_of_days_that_are_not_kept_stay_away(filled: Home) -> None:
    filled.delete(EVERYTHING)
    filled.tell(f"UPDATE rollup_marks SET thinned_ts = {START_TS + 1200}")

    came = undelete(filled, 1)

    assert 0 < came < 31
    with pytest.raises(UsageError, match="older than keep_measures"):
        undelete(filled, 1)


def forget(home: Home) -> list[int]:
    return [forget_some(home.engine, home.now_ts + KEPT_S + 1) for _ in range(7)]


def test_after_a_month_a_deletion_is_forgotten_step_by_step(filled: Home) -> None:
    filled.delete(EVERYTHING)

    assert forget_some(filled.engine, filled.now_ts + KEPT_S) == 0
    assert forget(filled) == [7, 7, 7, 7, 3, 0, 0]

    assert filled.ask("SELECT * FROM deletions") == []


@pytest.mark.parametrize(("confirmed", "left"), [(False, 1), (True, 0)])
def test_a_clock_that_may_be_wrong_forgets_nothing(
    filled: Home, confirmed: bool, left: int
) -> None:
    filled.delete(Range(1, Key.POSITION, -1, 0))
    filled.journal.begin_era(Era("boot", 0.0, 0.0, confirmed=confirmed))
    filled.now_ts += KEPT_S + 1

    filled.store()

    assert filled.ask("SELECT count(*) FROM deleted_measures") == [(left,)]


def test_few_long_deletions_go_on_at_once(filled: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cw_mqtt.store.bounded.HEAVY_WAITS_S", 0.01)
    one = WebQueries(filled.engine, filled.settings)
    begun = [one.delete(EVERYTHING, AUTHOR) for _ in range(2)]
    for steps in begun:
        next(steps)

    with pytest.raises(BusyError):
        next(one.delete(EVERYTHING, AUTHOR))

    assert next(one.delete(Range(1, Key.POSITION, -1, 0), AUTHOR)).measures == 1


@pytest.mark.parametrize("left", ["all but the newest", "none"])
def test_in_another_database_their_ids_stay_theirs(filled: Home, left: str) -> None:
    filled.tell("DELETE FROM measures WHERE sensor_id = 2")
    filled.delete(EVERYTHING if left == "none" else Range(1, Key.POSITION, -3, 0))
    with transaction(filled.engine) as connection:
        forget_numbers(connection)
        repair_sequences(connection)

    WebQueries(filled.engine, filled.settings).insert(1, START_TS, 1.0, night=False)

    undelete(filled, 1)
    assert len(set(filled.ask("SELECT id FROM measures"))) == 32


def forget_numbers(connection: Connection) -> None:
    """As in a database that was just made."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = 'measures'"))
    else:
        connection.execute(text("ALTER SEQUENCE measures_id_seq RESTART WITH 1"))
