"""What is told of changes: each author's first one at once, then one line a minute."""

import logging

import pytest

from cw_mqtt.model import Event
from cw_mqtt.records import Author, Deletion
from cw_mqtt.web.changes import Changes
from tests.home import AUTHOR

T = 1_795_215_600
NOW_TS = 1_800_000_000.0
SOLAR = Author("token solar", "192.0.2.9")


class StatusLine:
    """What was told, by a clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.events: list[Event] = []
        self.changes = Changes(self.events.append, lambda: NOW_TS, lambda: self.now_s)

    def after(self, seconds: float) -> list[str]:
        """What is told when this time has passed."""
        self.now_s += seconds
        known = len(self.events)
        self.changes.look()
        return [event.text for event in self.events[known:]]


@pytest.fixture
def told() -> StatusLine:
    return StatusLine()


def deletion(number: int, count: int = 3) -> Deletion:
    return Deletion(number, 1, T, AUTHOR, T, T + 8 * count, count)


def test_a_deletion_is_told_with_author_range_count_and_remedy(
    told: StatusLine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    told.changes.deleted(deletion(7, 3_849_830))

    (event,) = told.events
    assert (event.type, event.ts) == ("measures_deleted", NOW_TS)
    assert event.text == (
        "ada (192.0.2.7) deleted 3,849,830 measures of sensor 1, "
        "from 2026-11-20T23:00:00Z to 2027-11-12T10:10:40Z; "
        "to bring them back: cw-mqtt undelete 7"
    )
    assert caplog.messages == [event.text]


def test_a_script_that_inserts_much_is_told_once_a_minute(told: StatusLine) -> None:
    for number in range(500):
        told.changes.inserted(SOLAR, 1 + number % 2, T + number)

    assert len(told.events) == 1
    assert told.after(59) == []
    (text,) = told.after(2)
    assert text == (
        "token solar (192.0.2.9) inserted 499 measures of sensors 1, 2 in 499 calls, "
        "from 2026-11-20T23:00:01Z to 2026-11-20T23:08:19Z"
    )
    assert told.after(61) == []


def test_authors_and_what_they_do_are_told_apart(told: StatusLine) -> None:
    told.changes.inserted(SOLAR, 1, T)
    told.changes.inserted(AUTHOR, 1, T)
    told.changes.deleted(deletion(1))

    assert [event.type for event in told.events] == 2 * ["measures_inserted"] + ["measures_deleted"]


def test_after_a_quiet_minute_the_next_change_is_told_at_once(told: StatusLine) -> None:
    told.changes.deleted(deletion(1))
    told.after(61)

    told.changes.deleted(deletion(2))

    assert len(told.events) == 2


def test_of_several_deletions_the_list_is_named(told: StatusLine) -> None:
    for number in (1, 2, 3):
        told.changes.deleted(deletion(number))

    (text,) = told.after(61)

    assert "6 measures of sensor 1 in 2 calls" in text
    assert text.endswith("cw-mqtt undelete --list")


def test_at_the_end_nothing_is_left_untold(told: StatusLine) -> None:
    told.changes.inserted(SOLAR, 1, T)
    told.changes.inserted(SOLAR, 1, T)

    told.changes.tell_rest()

    assert len(told.events) == 2
