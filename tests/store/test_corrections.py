"""`corrections`: the sums of what is stored, minus what the published total has counted."""

import shutil

import pytest

from cw_mqtt.model import JOULES_PER_KWH
from cw_mqtt.records import MICROSECONDS, Key, Range
from cw_mqtt.store.web_queries import WebQueries
from tests.home import START_TS, Home, reading

MINUTE_S = 60
NAMES = {"main": "CitizenWatt"}


def hear(home: Home, first_s: int, last_s: int, power_w: float, step_s: int = 20) -> None:
    """Readings of a steady power; 500 W and an hour are 1.8 MJ."""
    home.hear(*(reading(ts, power_w=power_w) for ts in range(first_s, last_s + 1, step_s)))


def assert_computed(home: Home, mj: float) -> None:
    """Whether the corrections are the difference of the two, and that is `mj`."""
    kwh = home.corrections_kwh()

    assert kwh == pytest.approx((home.stored_j() - home.total_j()) / JOULES_PER_KWH, abs=0.0005)
    assert kwh == pytest.approx(mj * 1e6 / JOULES_PER_KWH, abs=0.0006)


def archive(home: Home) -> WebQueries:
    return WebQueries(home.engine, home.settings)


def test_there_are_none_when_nothing_was_edited(home: Home) -> None:
    home.store()
    hear(home, 0, 3600, 333.3, step_s=8)

    assert_computed(home, 0)
    assert str(home.health.report()["corrections"]["main"]) == "0.0"  # and not -0.0


def test_a_longer_gap_that_is_allowed_later_is_one(home: Home) -> None:
    home.store()
    hear(home, 0, 7200, 1000, step_s=600)
    assert home.total_j() == 0

    home.name_sensors(NAMES, energy={"max_gap_s": 900})

    assert_computed(home, 7.2)


def test_hours_that_a_clock_set_back_lived_twice_are_one(home: Home) -> None:
    home.store()
    hear(home, 0, 60 * MINUTE_S, 1000)

    hear(home, 10 * MINUTE_S, 70 * MINUTE_S, 1000)

    assert home.total_j() == pytest.approx(7.2e6)
    assert_computed(home, 4.2 - 7.2)


def test_what_was_measured_under_another_slug_is_one(home: Home) -> None:
    home.store()
    hear(home, 0, 3600, 500)
    home.store()
    home.name_sensors({"kitchen": "CitizenWatt"})
    home.store()
    home.hear(*(reading(ts, "kitchen", power_w=500) for ts in range(3610, 5411, 10)))
    home.store()

    home.name_sensors(NAMES)

    assert home.total_j() == 1.8e6
    assert home.total_j("kitchen") == pytest.approx(1.8e6 + 500 * 1810)
    assert_computed(home, 0.905)


def test_a_lost_journal_brings_none(home: Home) -> None:
    home.store()
    hear(home, 0, 3600, 500)
    home.store()
    home.new_journal()
    hear(home, 3620, 7220, 500)

    assert_computed(home, 0)
    assert home.total_j() == pytest.approx(3.61e6)


def test_what_a_lost_journal_took_along_is_one(home: Home) -> None:
    home.store()
    hear(home, 0, 3600, 500)
    home.store()
    state = home.journal.states()["main"]
    hear(home, 3620, 7220, 500)
    lost = home.journal.states()["main"]
    home.new_journal()
    home.journal.commit([lost])  # as what the broker still has would lift it

    assert lost.energy.total_j - state.energy.total_j == 1.81e6
    assert_computed(home, -1.81)


def test_a_hole_in_a_restored_database_is_one(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    home.store()
    hear(home, 0, 3600, 500)
    home.store()
    home.tell("DELETE FROM measures")
    home.tell("DELETE FROM rollups")
    home.go_back_to(100)

    assert_computed(home, 500 * (3600 - 2000) / 1e6 - 1.8)


def test_an_old_journal_beside_a_newer_database_brings_none(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    home.store()
    hear(home, 0, 3600, 500)
    home.journal.close()
    copy = shutil.copy(home.journal.path, home.folder / "copy")
    home = Home(home.folder, home.url)
    hear(home, 3620, 7200, 500)
    home.store()
    home.journal.close()
    shutil.move(copy, home.journal.path)
    home = Home(home.folder, home.url)

    hear(home, 7220, 10800, 500)

    assert_computed(home, 0)
    assert home.total_j() == 5.4e6
    home.close()


def test_what_people_insert_import_and_delete_is_one(home: Home) -> None:
    home.store()
    hear(home, 0, 3600, 500)
    home.store()

    archive(home).insert(1, START_TS - 100, 700.0, night=False)
    home.delete(Range(1, Key.TIME, *((START_TS + s) * MICROSECONDS for s in (900, 1801))))

    assert_computed(home, 0.06 - 500 * 940 / 1e6)


def test_measures_that_are_not_kept_bring_none(home: Home) -> None:
    home.store()
    hear(home, -90 * 86400, -90 * 86400 + 3600, 500)
    hear(home, 0, 3600, 500)
    home.store()
    home.name_sensors(NAMES, database={"url": home.url, "keep_measures": "30 days"})

    assert_computed(home, 0)
    assert home.total_j() == 3.6e6


def test_a_start_value_is_no_correction(home: Home) -> None:
    home.store()
    hear(home, 0, 3600, 500)
    sensor = {"slug": "main", "name": "CitizenWatt", "key": "00" * 16, "start_kwh": 1000}

    home.name_sensors({}, sensors=[sensor])

    assert home.corrections_kwh() == 0
    assert home.total_j() == 1000 * JOULES_PER_KWH + 1.8e6


def test_a_stop_during_the_first_build_counts_nothing_twice(home: Home) -> None:
    hear(home, 0, 3600, 500)

    home.stop_while_building()
    home.store()

    assert home.total_j() == home.stored_j() == 1.8e6
