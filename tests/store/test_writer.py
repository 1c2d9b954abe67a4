import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest

from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.model import Chain, Energy, Era, SensorState, Verdict
from cw_mqtt.records import Key, Range
from cw_mqtt.store.cursor import Cursor, advance
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.flush import request_flush
from cw_mqtt.store.measures import count_all_measures
from cw_mqtt.store.schema import HEAD
from cw_mqtt.store.web_queries import WebQueries
from tests.home import AUTHOR, START_TS, Home, reading
from tests.store.test_rollups import assert_right
from tests.waiting import DEADLINE_S, wait_until

STATE = SensorState(
    "main", Chain(loss=0.25), Energy(total_j=7.5, tariffs_j={"day": 7.5}, loaded=True)
)

# the database refuses a power of 666 W, each kind in its own words
REFUSES_666 = {
    "sqlite": (
        "CREATE TRIGGER no666 BEFORE INSERT ON measures WHEN NEW.value = 666 "
        "BEGIN SELECT RAISE(ABORT, 'the number of the beast'); END"
    ),
    "postgresql": "ALTER TABLE measures ADD CONSTRAINT no666 CHECK (value <> 666)",
}

CHILD = """
import sys, threading
from pathlib import Path
from tests.home import Home
home = Home(Path(sys.argv[1]), sys.argv[2] or None)
home.writer().serve(threading.Event(), lambda: None)
"""


def test_a_reading_that_counts_becomes_a_measure(home):
    home.hear(reading(8, power_w=1234.5, night=True))

    home.store()

    columns = "id, sensor_id, value, timestamp, night_rate"
    assert home.ask(f"SELECT {columns} FROM measures") == [(1, 1, 1234.5, START_TS + 8, 1)]


def test_a_reading_that_does_not_count_is_set_aside_with_its_reason(home):
    home.hear(
        reading(1, verdict=Verdict.SETTLING), reading(2), reading(3, verdict=Verdict.UNVERIFIED)
    )

    home.store()

    rows = home.ask("SELECT timestamp, reason, battery_mv FROM set_aside ORDER BY id")
    assert home.stored() == [2]
    assert rows == [(START_TS + 1, "settling", 3300), (START_TS + 3, "unverified", 3300)]


def test_two_measures_in_one_second_are_both_kept(home):
    home.hear(reading(5, power_w=100), reading(5, power_w=200))

    home.store()

    assert home.ask("SELECT value FROM measures ORDER BY id") == [(100.0,), (200.0,)]


def test_a_restarted_writer_stores_nothing_twice(home):
    home.hear(reading(1), reading(2))
    home.store()
    home.hear(reading(3))

    home.store()

    assert home.stored() == [1, 2, 3]


def test_readings_are_stored_exactly_once_when_the_writer_is_killed(home, tmp_path):
    home.hear(*(reading(ts) for ts in range(20_000)))
    home.store()
    home.journal.close()
    command = [sys.executable, "-c", CHILD, str(tmp_path), home.url or ""]
    child = subprocess.Popen(command)
    wait_until(lambda: count_all_measures(home.engine) > 1_000)

    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    survivor = Home(tmp_path, home.url)
    in_database = count_all_measures(survivor.engine)
    with survivor.running():
        wait_until(lambda: count_all_measures(survivor.engine) >= 20_000)
    survivor.close()

    assert 0 < in_database < 20_000
    assert survivor.stored() == list(range(20_000))


def test_a_position_that_somebody_else_moved_is_not_moved_again(home):
    home.hear(reading(1), reading(2))
    home.store()

    with (
        pytest.raises(ResourceAwayError, match="restored"),
        transaction(home.engine) as connection,
    ):
        advance(connection, home.journal.id, Cursor(seq=1), Cursor(seq=2))


def test_a_new_reading_is_stored_when_somebody_is_about_to_read(home):
    with home.running() as writer:
        home.hear(reading(1))

        writer.flush()

        assert home.stored() == [1]


def test_another_program_that_is_about_to_read_can_ask_too(home):
    with home.running():
        home.hear(reading(1))

        request_flush(home.folder)

        assert home.stored() == [1]


def test_what_is_read_on_the_web_is_stored_first(home):
    with home.running() as writer:
        archive = WebQueries(home.engine, home.settings, flush=writer.flush)
        home.hear(reading(0), reading(8))

        assert [m.timestamp for m in archive.measures(newest(2), 2)] == [START_TS, START_TS + 8]
        home.hear(reading(16))
        assert archive.sums(newest(2), 2)[0].seconds == 16
        home.hear(reading(24))
        assert [d.measures for d in archive.delete(newest(1), AUTHOR)] == [1]
    assert home.stored() == [0, 8, 16]


def newest(count):
    return Range(1, Key.POSITION, -count, 0)


def test_nobody_waits_for_a_writer_that_does_not_store(home):
    home.hear(reading(1))

    home.writer().flush()
    request_flush(home.folder)

    assert home.journal.newest == 1


def test_at_the_stop_what_waits_is_stored(home):
    with home.running():
        home.hear(*(reading(ts) for ts in range(700)))

    assert home.stored() == list(range(700))


def test_readings_wait_in_the_journal_while_postgres_is_away(tmp_path, postgres_server, caplog):
    home = Home(tmp_path, postgres_server.url)

    with home.running() as writer:
        postgres_server.stop()
        home.hear(reading(1), reading(2))
        writer.flush()
        wait_until(lambda: home.health.stages()["database"].state == "waiting")
        waiting = unstored(home)
        postgres_server.start()
        wait_until(lambda: unstored(home) == 0)

    assert waiting == 2
    assert home.stored() == [1, 2]
    home.close()


def delete(file):
    file.unlink()


def delete_with_its_log(file):
    for each in file.parent.glob(f"{file.name}*"):
        each.unlink()


def replace_by_an_older_one(file):
    older = file.with_name("older")
    with closing(sqlite3.connect(older)) as copy, closing(sqlite3.connect(file)) as present:
        present.backup(copy)
        copy.execute("DELETE FROM measures")
        copy.execute("UPDATE bridge_positions SET seq = 0")
        copy.commit()
    older.replace(file)


@pytest.mark.parametrize("lose", [delete, delete_with_its_log, replace_by_an_older_one])
def test_a_file_that_is_lost_while_it_is_used_is_filled_again(tmp_path, caplog, lose):
    home = Home(tmp_path)
    file = tmp_path / "citizenwatt.sqlite"

    with home.running() as writer:
        home.hear(reading(1))
        writer.flush()
        lose(file)
        home.hear(reading(2))
        writer.flush()
        wait_until(lambda: in_file(file) == [START_TS + 1, START_TS + 2])

    assert in_file(file) == [START_TS + 1, START_TS + 2]
    assert caplog.text.count("was deleted or replaced while it was used") == 1
    home.close()


def in_file(file):
    """The times of the measures that another program finds."""
    try:
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            return [
                ts for (ts,) in connection.execute("SELECT timestamp FROM measures ORDER BY id")
            ]
    except sqlite3.Error:
        return []


def test_a_database_that_refuses_everything_is_told_once(home, caplog):
    home.store()
    home.tell(REFUSES_666[home.engine.dialect.name])
    home.hear(*(reading(ts, power_w=666) for ts in range(20)))

    home.store()

    assert caplog.text.count("the database refuses") == 1
    assert home.health.report()["database"]["refused"] == 20


def test_health_does_not_wait_for_the_journal(tmp_path):
    home = Home(tmp_path)
    home.writer()

    with home.journal.lock, ThreadPoolExecutor(1) as another_thread:
        asked = another_thread.submit(home.health.report)
        report = asked.result(DEADLINE_S)

    assert report["journal"]["unstored"] == 0
    home.close()


def unstored(home):
    return home.health.report()["journal"]["unstored"]


@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_reading_that_the_database_refuses_does_not_stop_the_others(home, place, caplog):
    home.store()
    home.tell(REFUSES_666[home.engine.dialect.name])
    readings = [reading(ts) for ts in range(7)]
    readings[place] = reading(place, power_w=666)
    home.hear(*readings)

    home.store()

    assert home.stored() == [ts for ts in range(7) if ts != place]
    assert "refuses" in caplog.text
    assert home.health.report()["database"]["refused"] == 1
    home.store()
    assert home.health.report()["database"]["refused"] == 1
    assert home.health.report()["database"]["position"] == 7


@pytest.mark.parametrize(
    "fault",
    [
        "ALTER TABLE measures RENAME TO hidden",
        "SELECT setval('measures_id_seq', 1, false)",
    ],
)
def test_a_fault_that_is_not_the_readings_refuses_none(postgres_home, fault):
    postgres_home.hear(reading(0))
    postgres_home.store()
    postgres_home.tell(fault)
    postgres_home.hear(reading(1), reading(2))

    with pytest.raises(ResourceAwayError, match="measures"):
        postgres_home.store()

    assert len(postgres_home.journal.readings_after(1, 10)) == 2


def test_a_sensor_whose_row_was_deleted_gets_a_new_one(home):
    with home.running() as writer:
        home.tell("DELETE FROM sensors")

        home.hear(reading(1))
        writer.flush()

        assert home.stored() == [1]
    assert home.ask("SELECT name FROM sensors") == [("CitizenWatt",)]


def test_readings_of_a_sensor_that_left_the_settings_keep_their_row(home):
    home.name_sensors({"main": "CitizenWatt", "garage": "Garage"})
    home.store()
    home.name_sensors({"main": "CitizenWatt"})
    home.hear(reading(1, "garage"), reading(2, "never-seen"))

    home.store()

    rows = home.ask("SELECT s.name FROM measures m JOIN sensors s ON s.id = m.sensor_id ORDER BY 1")
    assert rows == [("Garage",), ("never-seen",)]


def test_a_database_restored_from_a_backup_finds_its_missing_rows_again(home):
    home.hear(reading(1), reading(2), reading(3))
    home.store()
    home.tell("DELETE FROM measures WHERE id > 1")
    home.go_back_to(1)

    home.store()

    assert home.stored() == [1, 2, 3]


def test_a_hole_that_cannot_be_filled_is_an_error_with_its_range(home, monkeypatch, caplog):
    home.hear(*(reading(ts) for ts in range(10)))
    home.store()
    monkeypatch.setattr("cw_mqtt.journal.journal.KEPT_A_SENSOR", 5)
    monkeypatch.setattr("cw_mqtt.journal.journal.PRUNED_AT_ONCE", 5)
    home.go_back_to(2)
    home.journal.stored(10)

    home.store()

    assert "readings 3 to 5 are lost" in caplog.text


@pytest.mark.parametrize("ahead_s", [0, 3 * 365 * 86400])
def test_a_journal_restored_from_an_old_copy_loses_no_new_reading(home, ahead_s, caplog):
    home.hear(reading(1 + ahead_s), reading(2))
    home.journal.close()
    old_copy = (home.folder / "journal.sqlite").read_bytes()
    home = reopened(home)
    home.hear(reading(3), reading(4))
    home.store()
    home.journal.close()
    (home.folder / "journal.sqlite").write_bytes(old_copy)
    home = reopened(home)
    home.hear(reading(5))

    home.store()
    home.hear(reading(6))
    home.store()
    home.close()

    assert "old copy" in caplog.text
    assert home.stored() == [1 + ahead_s, 2, 3, 4, 5, 6]


def test_an_old_copy_that_has_grown_past_the_position_is_told_too(home, caplog):
    home.hear(reading(1), reading(2))
    home.journal.close()
    old_copy = (home.folder / "journal.sqlite").read_bytes()
    home = reopened(home)
    home.hear(reading(3), reading(4))
    home.store()
    home.journal.close()
    (home.folder / "journal.sqlite").write_bytes(old_copy)
    for ts in (5, 7):
        home = reopened(home)
        home.hear(reading(ts), reading(ts + 1))

    home.store()
    home.close()

    assert "old copy" in caplog.text
    assert home.stored() == [1, 2, 3, 4, 5, 6, 7, 8]


def reopened(home):
    home.close()
    return Home(home.folder, home.url)


def test_readings_with_another_time_move_and_keep_their_ids(home):
    home.hear(reading(1), reading(2, verdict=Verdict.SETTLING), reading(3))
    home.store()
    home.journal.begin_era(Era("boot", 0.0, 0.0))
    home.hear(reading(11), reading(12, verdict=Verdict.SETTLING), reading(13))
    home.store()

    home.journal.begin_era(Era("boot", 0.0, 0.0), (), lambda r: replace(r, ts=r.ts + 10**8))
    home.store()

    assert home.stored() == [1, 3, 11 + 10**8, 13 + 10**8]
    assert home.ask("SELECT timestamp FROM set_aside ORDER BY id") == [
        (START_TS + 2,),
        (START_TS + 12 + 10**8,),
    ]
    assert_right(home)


def test_of_readings_that_are_alike_only_one_moves(home):
    home.hear(reading(1))
    home.journal.begin_era(Era("boot", 0.0, 0.0))
    home.hear(reading(1))

    home.journal.begin_era(Era("boot", 0.0, 0.0), (), lambda r: replace(r, ts=r.ts + 10))
    home.store()

    assert home.stored() == [1, 11]


def test_a_deleted_measure_does_not_come_back_with_another_time(home):
    home.journal.begin_era(Era("boot", 0.0, 0.0))
    home.hear(reading(1), reading(9))
    home.store()
    home.tell(f"DELETE FROM measures WHERE timestamp = {START_TS + 1}")

    home.journal.begin_era(Era("boot", 0.0, 0.0), (), lambda r: replace(r, ts=r.ts + 10))
    home.store()

    assert home.stored() == [19]


def test_a_lost_journal_takes_states_and_installation_from_the_database(home):
    home.journal.commit([STATE], [reading(1)])
    home.store()
    installation = home.journal.installation
    home.new_journal()
    home.hear(reading(2))

    home.store()

    assert home.known == {"main": STATE}
    assert home.journal.installation == installation
    assert home.stored() == [1, 2]


def test_a_copy_that_makes_no_sense_stops_nothing_and_is_replaced(home, caplog):
    home.journal.commit([STATE], [reading(1)])
    home.store()
    home.tell("UPDATE bridge_states SET state = '{'")

    home.store()

    assert "state of main that was kept is damaged" in caplog.text
    home.new_journal()
    home.store()
    assert home.known == {"main": STATE}


def test_a_writer_that_stops_leaves_the_newest_state_in_the_database(home):
    home.journal.commit([STATE], [reading(1)])
    newer = replace(STATE, energy=Energy(total_j=9.0, tariffs_j={"day": 9.0}, loaded=True))
    with home.running():
        home.journal.commit([newer])
    home.new_journal()

    home.store()

    assert home.known == {"main": newer}


def test_a_state_that_lacks_what_the_database_knows_is_not_copied(home):
    home.journal.commit([STATE, SensorState("left-the-settings")])

    home.store()

    assert home.ask("SELECT sensor FROM bridge_states") == [("main",)]


def test_a_sensor_without_a_copy_is_loaded_from_its_history_before_new_readings(home):
    home.store()
    home.hear(reading(20), reading(10, night=True), reading(20, power_w=7))
    home.store()
    home.tell("DELETE FROM bridge_states")
    home.new_journal()
    home.hear(reading(30))

    home.store()

    energy = Energy(
        total_j=5005.0,
        tariffs_j={"day": 5005.0, "night": 0.0},
        last_ts=START_TS + 20,
        last_power_w=7.0,
    )
    assert home.known == {"main": SensorState("main", energy=energy)}


def test_of_a_loaded_sensor_without_a_copy_the_history_is_no_total(home):
    home.hear(reading(0), reading(8))
    home.store()
    home.tell("DELETE FROM bridge_states")
    WebQueries(home.engine, home.settings).insert(1, START_TS + 4, 1500.5, night=False)

    home.store()

    assert home.total_j() == 4004


def test_a_full_journal_says_what_it_loses(home, monkeypatch, caplog):
    monkeypatch.setattr("cw_mqtt.journal.journal.MOST_READINGS", 10)
    home.hear(*(reading(ts) for ts in range(30)))

    home.store()

    assert home.health.report()["journal"]["lost"] == 20
    assert "the journal is full" in caplog.text
    assert home.stored() == list(range(20, 30))


def test_health_tells_which_database_it_is_and_how_far_it_got(home):
    home.hear(reading(1), reading(2))

    home.store()

    database = home.health.report()["database"]
    assert database["kind"] == home.engine.dialect.name
    assert (database["form"], database["position"]) == (HEAD, 2)


def test_a_price_holds_from_its_day_on_also_while_the_bridge_runs(home):
    contract = {"name": "Vert", "current": True}
    lines = [
        {**contract, "from": "2026-09-01", "day": {"eur_per_kwh": 0.25}},
        {**contract, "from": "2026-09-25", "day": {"eur_per_kwh": 0.3}},
    ]
    home.name_sensors({"main": "CitizenWatt"}, providers=lines)
    price = "SELECT day_slope_watt_euros FROM providers"

    with home.running() as writer:
        before = home.ask(price)
        home.now_ts += 10 * 86400
        writer.wake()
        wait_until(lambda: home.ask(price) == [(0.3,)])

    assert before == [(0.25,)]
