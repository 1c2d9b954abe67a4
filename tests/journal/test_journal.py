import errno
import fcntl
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest

from cw_mqtt.errors import InUseError, ResourceAwayError, UsageError
from cw_mqtt.journal import journal as journal_module
from cw_mqtt.journal.file import JOURNAL_PAGE_BYTES, TABLES
from cw_mqtt.journal.journal import Journal
from cw_mqtt.journal.rows import Entry
from cw_mqtt.model import Chain, Energy, Era, Heard, Packet, Reading, SensorState, Verdict

PACKET = Packet(750, 240, 3296, 412, bytes(6), bytes(range(200, 216)))
STATE = SensorState(
    "main",
    Chain(Heard(PACKET, 4.5), 1.5, (675,), (8.125,), loss=0.125),
    Energy(tariffs_j={"day": 0.1 + 0.2}, loaded=True),
    Reading("main", 5, 750.5, 240, 3296, Verdict.CONFIRMED, night=True),
    5.25,
    previous_key=True,
    verdicts={Verdict.SETTLING: 5},
)


def reading(ts, sensor="main"):
    return Reading(sensor, ts, 100.0, 240, 3300, Verdict.VERIFIED)


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path, durable=False)
    yield journal
    journal.close()


def test_everything_is_there_again_after_a_restart(tmp_path, journal):
    journal.commit([STATE], [reading(1), reading(2)])
    journal.note_retained(["a/b"])
    identity = (journal.id, journal.installation)
    journal.close()

    again = Journal(tmp_path)

    assert again.states() == {"main": STATE}
    assert [entry.reading for entry in again.readings_after(0, 10)] == [reading(1), reading(2)]
    assert again.retained_topics() == {"a/b"}
    assert (again.id, again.installation) == identity
    again.close()


def test_two_journals_are_never_taken_for_each_other(tmp_path, journal):
    other = Journal(tmp_path / "other")

    assert other.id != journal.id
    assert other.installation != journal.installation
    other.close()


def test_a_second_process_is_told_who_holds_the_journal(tmp_path, journal):
    program = (
        "import sys, pathlib, cw_mqtt.journal.journal as j; j.Journal(pathlib.Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]

    second = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "InUseError" in second.stderr
    assert f"in use by process {os.getpid()}" in second.stderr


def test_the_same_process_may_not_open_it_twice(tmp_path, journal):
    with pytest.raises(InUseError):
        Journal(tmp_path)


def test_states_and_readings_are_committed_together_or_not_at_all(journal):
    broken = Reading("main", 2**70, 1.0, 240, 3300, Verdict.VERIFIED)

    with pytest.raises(OverflowError):
        journal.commit([STATE], [reading(1), broken])

    assert journal.states() == {}
    assert journal.readings_after(0, 10) == []


def test_a_full_disk_changes_nothing_and_says_so(journal):
    journal.commit([STATE])
    pages = journal._file._connection.execute("PRAGMA page_count").fetchone()[0]
    journal._file._connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(ResourceAwayError, match="full"):
        journal.commit([SensorState("main")], [reading(ts) for ts in range(1000)])

    assert journal.states() == {"main": STATE}
    journal._file._connection.execute("PRAGMA max_page_count = 1000000")
    journal.commit([SensorState("main")])


def test_a_commit_wakes_the_sinks(journal):
    wakeup = journal.wakes()

    journal.commit([STATE])

    assert wakeup.wait(0)
    assert not wakeup.wait(0)


def test_readings_come_in_order_after_a_position(journal):
    journal.commit([], [reading(ts) for ts in range(10)])

    assert [e.reading.ts for e in journal.readings_after(4, 3)] == [4, 5, 6]


@pytest.mark.parametrize("away_s", [0, 365 * 86400, -365 * 86400])
def test_stored_readings_are_kept_by_number_whatever_the_clock_said(journal, monkeypatch, away_s):
    monkeypatch.setattr(journal_module, "KEPT_A_SENSOR", 1000)
    journal.commit([STATE], [reading(10**9 + away_s + number) for number in range(505)])
    journal.commit([STATE], [reading(10**9 + number) for number in range(1495)])

    lost = [journal.stored(seq=1990) for _ in range(4)]

    assert lost == [0, 0, 0, 0]
    assert journal.span() == (1001, 2000)


def test_what_is_not_stored_is_kept_however_old(journal, monkeypatch):
    monkeypatch.setattr(journal_module, "KEPT_A_SENSOR", 5)
    monkeypatch.setattr(journal_module, "PRUNED_AT_ONCE", 8)
    journal.commit([STATE], [reading(number) for number in range(20)])

    journal.stored(seq=8)

    assert journal.span() == (9, 20)


def test_seven_days_of_each_sensor_are_kept(journal, monkeypatch):
    monkeypatch.setattr(journal_module, "KEPT_A_SENSOR", 5)
    monkeypatch.setattr(journal_module, "PRUNED_AT_ONCE", 10)
    journal.commit([STATE, SensorState("other")], [reading(number) for number in range(20)])

    journal.stored(seq=20)

    assert journal.span() == (11, 20)


def test_beyond_its_bound_the_oldest_unstored_readings_go_and_are_counted(journal, monkeypatch):
    monkeypatch.setattr(journal_module, "MOST_READINGS", 100)
    journal.commit([], [reading(ts) for ts in range(130)])

    assert journal.stored(seq=10) == 20
    assert journal.span() == (31, 130)


def test_sequence_numbers_are_never_used_again(tmp_path, journal, monkeypatch):
    monkeypatch.setattr(journal_module, "KEPT_A_SENSOR", 0)
    monkeypatch.setattr(journal_module, "PRUNED_AT_ONCE", 1)
    journal.commit([], [reading(1), reading(2)])
    journal.stored(seq=2)
    journal.close()

    again = Journal(tmp_path)
    again.commit([], [reading(3)])

    assert again.span() == (2, 3)
    again.close()


def test_a_journal_from_an_old_copy_goes_on_after_what_the_database_knows(journal):
    journal.commit([], [reading(1), reading(200)])

    journal.continue_after(500, first=2)
    journal.commit([], [reading(300)])

    assert [e.reading.ts for e in journal.readings_after(500, 10)] == [200, 300]
    assert [e.seq for e in journal.readings_after(0, 10)] == [1, 501, 502]


def test_a_journal_that_is_none_is_kept_beside_and_a_new_one_begins(tmp_path, journal, caplog):
    journal.commit([STATE])
    before = journal.id
    journal.close()
    (tmp_path / "journal.sqlite").write_bytes(b"SQLite format 3\0" + b"x" * 5000)

    again = Journal(tmp_path)

    assert again.id != before
    assert again.states() == {}
    assert len(list(tmp_path.glob("journal.sqlite.damaged-*"))) == 1
    assert "damaged" in caplog.text
    again.close()


def fill(journal):
    """Something in every table, over a few pages each."""
    for number in range(1, 301):
        journal.commit([STATE], [reading(number)], [number.to_bytes(16)])
        journal.commit([], [], [(1000 + number).to_bytes(16)])
    journal.note_retained([f"citizenwatt/main/{number}" for number in range(200)])
    journal.continue_after(1000, 301)


def damage(journal, table):
    """Overwrite a page of a table in the file, while the journal is open."""
    connection = journal._file._connection
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY pageno"
    pages = [page for (page,) in connection.execute(query, (table,))]
    with journal._file.path.open("r+b") as file:
        file.seek((pages[len(pages) // 2] - 1) * JOURNAL_PAGE_BYTES)
        file.write(b"\xa5" * JOURNAL_PAGE_BYTES)
    connection.execute("PRAGMA shrink_memory")  # or its cache would hide it


def persist(act):
    """What a stage does: try once more."""
    try:
        return act()
    except ResourceAwayError:
        return act()


@pytest.mark.parametrize("table", TABLES)
def test_damage_at_run_time_costs_what_was_there_and_nothing_else(tmp_path, journal, table, caplog):
    fill(journal)
    known = (journal.id, journal.installation, journal.states())

    damage(journal, table)
    before = persist(lambda: journal.readings_after(0, 1000))
    topics = persist(journal.retained_topics)
    persist(lambda: journal.note_retained(["new"], topics))
    journal._write_filter()
    persist(lambda: journal.commit([STATE], [reading(1234)], [b"the newest heard"]))

    assert (journal.id, journal.installation, journal.states()) == known
    assert len(before) == 300 or (table == "readings" and 270 < len(before) < 300)
    assert len(topics) == 200 or (table == "retained" and 100 < len(topics) < 200)
    assert journal.was_heard((1).to_bytes(16))
    journal.close()
    again = Journal(tmp_path)
    assert (again.id, again.installation, again.states()) == known
    assert again.readings_after(1000, 2) == [Entry(1001, reading(1234))]
    assert again.retained_topics() == {"new"}
    assert again.was_heard(b"the newest heard")
    assert caplog.text.count("a new one begins") == 1
    again.close()


@pytest.mark.parametrize("table", TABLES)
def test_damage_at_the_start_costs_what_was_there_and_nothing_else(
    tmp_path, journal, table, caplog
):
    fill(journal)
    before = journal.id
    damage(journal, table)
    journal.close()

    again = Journal(tmp_path)

    readings = persist(lambda: again.readings_after(0, 1000))
    persist(again.retained_topics)
    persist(lambda: again.commit([], [reading(5)], [bytes(16)]))
    assert (again.id, again.states()) == (before, {"main": STATE}) or table == "states"
    # without its name, the database would store them again
    assert len(readings) > 270 if table != "states" else not readings
    assert caplog.text.count("a new one begins") == 1
    again.close()


def test_rows_that_make_no_sense_stop_neither_the_start_nor_the_others(tmp_path, journal, caplog):
    journal.commit([STATE, SensorState("other")], [reading(1), reading(2)])
    journal._file._connection.execute("UPDATE readings SET verdict = x'80', ts = 'x' WHERE seq = 1")
    journal._file._connection.execute("UPDATE states SET state = '{' WHERE name = 'sensor:main'")
    journal.close()

    again = Journal(tmp_path)

    assert again.states() == {"other": SensorState("other")}
    assert again.readings_after(0, 10) == again.readings_after(0, 10) == [Entry(2, reading(2))]
    assert caplog.text.count("reading 1 is damaged") == 1
    assert "state of sensor:main that was kept is damaged" in caplog.text
    again.close()


def test_a_journal_that_is_deleted_while_it_is_used_is_written_again(tmp_path, journal, caplog):
    journal.commit([STATE], [reading(1)])
    journal._file.path.unlink()

    persist(lambda: journal.commit([STATE], [reading(2)]))
    journal.close()

    again = Journal(tmp_path)
    assert [entry.reading.ts for entry in again.readings_after(0, 10)] == [1, 2]
    again.close()


def test_a_journal_that_is_replaced_while_it_is_used_is_written_again(tmp_path, journal, caplog):
    journal.commit([STATE], [reading(1)])
    (tmp_path / "other").write_bytes(journal._file.path.read_bytes())
    (tmp_path / "other").replace(journal._file.path)

    persist(lambda: journal.commit([STATE], [reading(2)]))
    journal.close()

    again = Journal(tmp_path)
    assert [entry.reading.ts for entry in again.readings_after(0, 10)] == [1, 2]
    again.close()


def test_a_journal_of_a_newer_version_is_left_alone(tmp_path, journal):
    journal.close()
    connection = sqlite3.connect(tmp_path / "journal.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(UsageError, match="newer"):
        Journal(tmp_path)

    assert list(tmp_path.glob("*.damaged-*")) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ResourceAwayError, match="file/journal"):
        Journal(tmp_path / "file" / "journal")


def test_a_state_of_an_older_version_gets_defaults_for_what_it_lacks(tmp_path, journal):
    journal.commit([SensorState("main")])
    journal._file._connection.execute("""UPDATE states SET state = '{"sensor": "main"}'""")
    journal.close()

    again = Journal(tmp_path)

    assert again.states() == {"main": SensorState("main")}
    again.close()


def test_readings_of_an_era_are_entered_once_more_with_another_time(tmp_path, journal):
    journal.commit([], [reading(1)])
    journal.begin_era(Era("boot", 0.0, 0.0))
    journal.commit([], [reading(ts) for ts in range(2, 2500)])

    count = journal.begin_era(
        Era("boot", 9.0, 5.0), [STATE], lambda each: replace(each, ts=each.ts + 10_000)
    )

    entries = journal.readings_after(0, 10**6)
    assert count == 2498
    assert [entry.seq for entry in entries] == list(range(1, 4998))
    assert [e.reading.ts for e in entries if e.was_ts is None] == list(range(1, 2500))
    assert [e.was_ts for e in entries[2499:]] == list(range(2, 2500))
    assert [e.reading.ts for e in entries[2499:]] == list(range(10_002, 12_500))
    journal.close()
    again = Journal(tmp_path, durable=False)
    assert again.era == Era("boot", 9.0, 5.0, first_seq=2500)
    assert again.states() == {"main": STATE}
    again.close()


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)

    with pytest.raises(ResourceAwayError, match=r"knows no locks .* a disk of this computer"):
        Journal(tmp_path)
