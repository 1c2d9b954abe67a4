import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from cw_mqtt.bridge import bridge
from cw_mqtt.bridge import judge as judging
from cw_mqtt.bridge.bridge import Bridge, ChunkQueue
from cw_mqtt.bridge.recovery import lift_total
from cw_mqtt.decode.verify import judge
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.model import JOULES_PER_KWH, Chunk, Energy, Event, SensorState, Verdict
from cw_mqtt.runtime.stages import Stage
from cw_mqtt.simulate.firmware import SensorFirmware
from tests.home import Home
from tests.packets import KEY, OTHER_KEY, RECORDED, payloads, powers, times
from tests.settings import NIGHT_CONTRACT, SENSOR, SIX_PRICES
from tests.waiting import DEADLINE_S, wait_until


class Running(Home):
    """A bridge on a home of its own, with the database's answer already given."""

    def __init__(self, folder, **changes):
        super().__init__(folder, **changes)
        self.bridge = Bridge(self.settings, self.journal, self.health, self.events)

    def loaded(self):
        self.bridge.load({}, 0)
        return self

    @property
    def state(self):
        return self.journal.states()["main"]


@pytest.fixture
def start(tmp_path):
    running = []

    def start(name="first", **changes):
        running.append(Running(tmp_path / name, **changes))
        return running[-1]

    yield start
    for each in running:
        each.close()


def chunks(stream="normal_20_consecutive", later_s=0):
    return [
        Chunk("hall", ts + later_s, ts + later_s, payload)
        for payload, ts in zip(payloads(stream), times(stream), strict=True)
    ]


def expected_j(stream="normal_20_consecutive", first=5, last=None):
    """The energy of the measures of a stream, by the definition."""
    points = [(int(ts), w) for ts, w in zip(times(stream), powers(stream), strict=True)][first:last]
    return sum((a + b) / 2 * (after - before) for (before, a), (after, b) in pairwise(points))


def test_packets_become_readings_and_energy(start):
    running = start().loaded()

    running.bridge.process(chunks())

    verdicts = Counter(reading.verdict for reading in running.readings())
    assert verdicts == {Verdict.SETTLING: 5, Verdict.VERIFIED: 15}
    assert [r.power_w for r in running.readings()] == powers()
    assert running.state.energy.tariffs_j["day"] == expected_j()
    assert running.state.latest == running.readings()[-1]


def test_one_commit_or_many_give_the_same(start):
    together, one_by_one = start("together").loaded(), start("single").loaded()

    together.bridge.process(chunks())
    for chunk in chunks():
        one_by_one.bridge.process([chunk])

    assert together.readings() == one_by_one.readings()
    assert together.state == one_by_one.state


def test_a_total_goes_on_over_a_restart(start):
    running = start().loaded()
    running.bridge.process(chunks()[:11])
    running.journal.close()

    again = start()
    again.bridge.process(chunks()[11:])

    assert again.state.energy.tariffs_j["day"] == expected_j()


def test_a_packet_that_is_only_held_survives_a_restart(start):
    running = start().loaded()
    running.bridge.process(chunks("timer_crosses_2_31")[:1])
    assert running.readings() == []
    running.journal.close()

    again = start()
    again.bridge.process(chunks("timer_crosses_2_31")[1:2])

    assert [r.power_w for r in again.readings()] == [600, 601]


def test_power_is_calibrated_by_the_scale(start):
    running = start(sensors=[{**SENSOR, "power_scale": 0.5}]).loaded()

    running.bridge.process(chunks("timer_crosses_2_31"))

    assert [r.power_w for r in running.readings()] == [300, 300.5, 301, 301.5, 302, 302.5]


def test_a_reading_in_the_night_hours_is_night(start):
    running = start(providers=[NIGHT_CONTRACT]).loaded()

    running.bridge.process(chunks())  # at 23:26 in Paris

    assert {reading.night for reading in running.readings()} == {True}
    assert (running.state.energy.tariffs_j["day"], running.state.energy.tariffs_j["night"]) == (
        0,
        expected_j(),
    )


def test_a_wrong_key_gives_nothing_and_is_counted(start):
    running = start(sensors=[{**SENSOR, "key": OTHER_KEY.hex()}]).loaded()
    before = running.journal.states()

    running.bridge.process([*chunks(), Chunk("hall", times()[-1], times()[-1] + 1, b"")])

    assert running.journal.states() == before
    assert running.health.report()["receivers"]["hall"]["undecryptable"] == 20


def test_two_receivers_that_hear_the_same_packet_count_it_once(start):
    both = [{"name": name, "port": "simulated:"} for name in ("hall", "attic")]
    running = start(receivers=both).loaded()
    hall = chunks("timer_crosses_2_31")
    attic = [Chunk("attic", c.heard_ts + 0.1, c.monotonic_s + 0.1, c.content) for c in hall]

    running.bridge.process(chunk for pair in zip(hall, attic, strict=True) for chunk in pair)

    assert [r.power_w for r in running.readings()] == [600, 601, 602, 603, 604, 605]
    assert running.state.verdicts[Verdict.DUPLICATE] == 6


def test_a_reboot_is_told_once_it_is_committed(start):
    running = start().loaded()
    wakeup = running.journal.wakes()
    running.bridge.process(chunks())

    running.bridge.process(chunks("after_reboot", later_s=1000))

    assert [(e.type, e.sensor) for e in running.events] == [("sensor_rebooted", "main")]
    assert isinstance(running.events[0], Event)
    assert wakeup.wait(0)
    assert running.state.chain.restarts == 1


@contextmanager
def refusing(journal, error=None):
    """A journal whose disk is full."""
    commit = journal.commit

    def refuse(*_):
        raise error or ResourceAwayError("disk full")

    journal.commit = refuse
    yield
    journal.commit = commit


def test_what_could_not_be_committed_goes_with_the_next_and_is_judged_once(start, monkeypatch):
    running, judged = start().loaded(), []
    monkeypatch.setattr(judging, "judge", lambda *args: judged.append(args) or judge(*args))

    with refusing(running.journal):
        for chunk in chunks()[:12]:
            with pytest.raises(ResourceAwayError):
                running.bridge.process([chunk])
    running.bridge.process(chunks()[12:])

    assert [r.power_w for r in running.readings()] == powers()
    assert running.state.energy.tariffs_j["day"] == expected_j()
    assert len(judged) == 20


def test_a_full_disk_costs_nothing_once_there_is_room_again(start, monkeypatch):
    full, roomy, judged = start("full").loaded(), start("roomy").loaded(), []
    monkeypatch.setattr(judging, "judge", lambda *args: judged.append(args) or judge(*args))
    sent = [chunk for day in range(5) for chunk in renewed(KEY, day * 86400, day)]
    connection = full.journal._file._connection
    connection.execute("PRAGMA max_page_count = 1")  # no more pages than there are

    refused = 0
    for chunk in sent:
        try:
            full.bridge.process([chunk])
        except ResourceAwayError:
            refused += 1
    connection.execute("PRAGMA max_page_count = 1000000")
    full.bridge.process([])
    roomy.bridge.process(sent)

    assert refused > len(sent) / 2
    assert len(judged) == 2 * len(sent)
    assert full.readings() == roomy.readings()
    assert full.state == roomy.state


def test_a_journal_that_refuses_for_long_costs_the_oldest_readings(start, monkeypatch, caplog):
    running = start().loaded()
    monkeypatch.setattr(bridge, "MOST_UNCOMMITTED", 8)

    with refusing(running.journal):
        for chunk in chunks():
            with pytest.raises(ResourceAwayError):
                running.bridge.process([chunk])
    running.bridge.process([])

    assert [r.power_w for r in running.readings()] == powers()[-8:]
    assert running.health.report()["journal"]["lost"] == 12
    assert caplog.text.count("oldest readings are lost") == 1


def test_what_no_try_can_commit_does_not_hold_up_what_follows(start):
    running = start().loaded()

    with refusing(running.journal, OverflowError()), pytest.raises(OverflowError):
        running.bridge.process(chunks()[:12])
    running.bridge.process(chunks()[12:])

    assert [r.power_w for r in running.readings()] == powers()[12:]


def test_nobody_waits_for_the_judging_of_a_backlog(start, monkeypatch):
    running = start()
    reader = threading.Thread(target=lambda: running.loaded().journal.readings_after(0, 10))

    def judge_slowly(*args):
        reader.is_alive() or reader.ident or reader.start()
        reader.join(10)
        return judge(*args)

    monkeypatch.setattr(judging, "judge", judge_slowly)
    running.bridge.process(chunks())

    assert not reader.is_alive()
    assert running.state.energy.loaded
    assert running.state.energy.tariffs_j["day"] == expected_j()


def test_a_refused_repeat_is_counted_and_writes_nothing(start, tmp_path, caplog):
    running = start().loaded()
    running.bridge.process(chunks())
    written = (tmp_path / "first" / "journal.sqlite-wal").read_bytes()

    running.bridge.process([*chunks(later_s=1800), *chunks(later_s=3600)])

    assert running.state.verdicts[Verdict.REPLAYED] == 40
    assert (tmp_path / "first" / "journal.sqlite-wal").read_bytes() == written
    running.journal.close()
    assert start().state.verdicts[Verdict.REPLAYED] == 40


def knows(**energy):
    """What the database knows of the sensor."""
    return {"main": SensorState("main", energy=Energy(**energy))}


def test_a_total_is_the_start_value_plus_the_stored_history(start):
    running = start(sensors=[{**SENSOR, "start_kwh": 1000}])

    running.bridge.load(
        knows(total_j=72_000, tariffs_j={"day": 36_000, "night": 36_000}, last_ts=72), 0
    )

    assert running.state.energy.total_kwh == pytest.approx(1000.02)
    assert running.state.energy.tariffs_j["night"] == 36_000
    assert running.bridge.knows_totals


def test_a_start_value_written_later_lifts_the_total_by_the_difference(start):
    running = start(sensors=[{**SENSOR, "start_kwh": 100}]).loaded()
    running.bridge.process(chunks())
    running.journal.close()

    again = start(sensors=[{**SENSOR, "start_kwh": 150}]).loaded()

    assert again.state.energy.total_kwh == pytest.approx(150 + expected_j() / JOULES_PER_KWH)


def test_a_start_value_that_is_lowered_lowers_nothing_and_is_told(start, caplog):
    start(sensors=[{**SENSOR, "start_kwh": 100}]).loaded().journal.close()

    again = start(sensors=[{**SENSOR, "start_kwh": 99.5}]).loaded()

    assert again.state.energy.total_kwh == 100
    assert "main: start_kwh is 99.5 now" in caplog.text


def test_a_lost_journal_takes_total_and_chain_from_the_copy(start):
    before = start("before").loaded()
    before.bridge.process(chunks()[:12])
    after = start("after")

    after.bridge.load({"main": before.state}, 0)
    after.bridge.process(chunks()[12:])

    assert after.state.energy.total_j == expected_j()
    assert [r.power_w for r in after.readings()] == powers()[12:]


def test_readings_of_before_the_total_was_loaded_go_on_from_it(start):
    running = start()
    running.bridge.process(chunks())
    assert not running.state.energy.loaded
    first = running.readings()[5]

    last = {"last_ts": first.ts - 10, "last_power_w": first.power_w}
    running.bridge.load(knows(total_j=5e6, tariffs_j={"day": 5e6}, **last), 0)

    assert running.state.energy.total_j == 5e6 + 10 * first.power_w + expected_j()


def test_what_the_database_has_of_the_journal_is_not_counted_again(start):
    running = start()
    running.bridge.process(chunks())
    stored = running.readings()[:11]
    measured = expected_j(first=5, last=11)

    last = {"last_ts": stored[-1].ts, "last_power_w": stored[-1].power_w}
    running.bridge.load(knows(total_j=measured, tariffs_j={"day": measured}, **last), 11)

    assert running.state.energy.total_j == pytest.approx(expected_j())
    assert running.state.energy.tariffs_j["day"] == running.state.energy.total_j


def test_an_old_copy_of_the_journal_goes_on_from_what_the_database_knows(start):
    running = start().loaded()
    running.bridge.process(chunks()[:11])
    running.journal.close()
    copied = (running.journal.path).read_bytes()
    newer = start().loaded()
    newer.bridge.process(chunks()[11:16])
    known = newer.state
    newer.journal.close()
    running.journal.path.write_bytes(copied)

    restored = start()
    restored.bridge.load({"main": known}, 16)
    restored.bridge.process(chunks()[16:])

    assert restored.state.energy.total_j == expected_j()
    assert restored.readings()[-1].power_w == powers()[-1]


def test_what_the_database_knows_less_of_changes_nothing(start):
    running = start().loaded()
    running.bridge.process(chunks())
    before = running.state

    running.bridge.load(knows(total_j=1, tariffs_j={"day": 1}, last_ts=1, loaded=True), 0)

    assert running.state == before


def test_a_total_is_raised_to_what_subscribers_last_saw(start, caplog):
    running = start().loaded()

    lift_total(running.journal, "main", Energy(total_j=12.5 * JOULES_PER_KWH, cost=3.0))

    assert running.state.energy.total_kwh == 12.5
    assert running.state.energy.cost == 3
    assert "going on from there" in caplog.text


def test_the_broker_alone_brings_back_the_total_of_each_tariff(start, caplog):
    running = start("lost", providers=[SIX_PRICES]).loaded()  # the database has no copy either
    sums = {each["name"]: n * 1.5e6 for n, each in enumerate(SIX_PRICES["tariffs"], start=1)}

    lift_total(running.journal, "main", Energy(total_j=4e7, tariffs_j={**sums, "of_others": 1.0}))

    assert running.state.energy.tariffs_j == sums
    assert "going on from there" in caplog.text


def test_a_lower_retained_total_changes_nothing(start):
    running = start(sensors=[{**SENSOR, "start_kwh": 20}]).loaded()

    lift_total(running.journal, "main", Energy(total_j=12.5 * JOULES_PER_KWH))

    assert running.state.energy.total_kwh == 20


def test_a_sensor_keeps_the_identity_of_its_first_key(start):
    first = start().state.identity
    running = start("lost", sensors=[{**SENSOR, "key": OTHER_KEY.hex()}])
    assert running.state.identity != first

    running.bridge.load({"main": SensorState("main", identity=first)}, 0)

    assert running.state.identity == first


def test_serve_works_through_everything_and_ends(start):
    running = start().loaded()
    stopping, worked = threading.Event(), threading.Event()
    thread = threading.Thread(target=running.bridge.serve, args=(stopping, worked.set))
    thread.start()

    for chunk in chunks():
        running.bridge.receive(chunk)
    wait_until(lambda: len(running.readings()) == 20)
    stopping.set()
    running.bridge.wake()

    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    assert worked.is_set()


def test_the_report_holds_no_power_and_no_key(start):
    running = start().loaded()

    running.bridge.process(chunks())

    report = running.health.report()["sensors"]["main"]
    assert report["heard"] == {"held": 1, "settling": 5, "verified": 15}
    assert str(powers()[-1]) not in str(report)


def test_a_recorded_run_is_refused_also_after_a_restart(start, caplog):
    running = start().loaded()
    running.bridge.process(chunks())
    running.journal.close()

    again = start()
    before = again.state
    again.bridge.process(chunks(later_s=3600))

    assert again.state.verdicts[Verdict.REPLAYED] == 20
    assert (again.state.energy, again.state.chain.newest) == (before.energy, before.chain.newest)
    assert len(again.readings()) == 20


def test_an_attack_is_told_in_words_and_not_at_each_packet(start, caplog):
    running = start().loaded()
    running.bridge.process(chunks())

    running.bridge.process(chunks(later_s=300))

    assert [(e.type, e.text) for e in running.events] == [
        ("replay_rejected", "an earlier packet was sent again (replay); refused")
    ]
    assert caplog.text.count("main: an earlier packet was sent again") == 1


def test_another_sensor_under_the_same_key_is_told(start, caplog):
    running = start().loaded()
    running.bridge.process(chunks("after_reboot"))

    running.bridge.process(chunks("timer_crosses_2_31", later_s=60))

    assert [event.type for event in running.events] == ["unknown_sensor"]
    assert "packets under its key that are not its own" in caplog.text
    assert Verdict.VERIFIED not in running.state.verdicts


def test_a_key_is_changed_without_losing_the_sensor(start, caplog):
    caplog.set_level("INFO")
    keys = {"key": OTHER_KEY.hex(), "previous_keys": [SENSOR["key"]]}
    running = start(sensors=[{**SENSOR, **keys}]).loaded()

    running.bridge.process(chunks())
    assert running.health.report()["sensors"]["main"]["key"] == "previous"
    running.bridge.process(renewed(OTHER_KEY, later_s=1000))

    assert [event.type for event in running.events][:2] == ["previous_key_used", "sensor_rebooted"]
    assert running.events[2].type == "new_key_used"
    assert running.health.report()["sensors"]["main"]["key"] == "current"
    assert running.readings()[-1].verdict is Verdict.VERIFIED


def renewed(key, later_s, more_w=0):
    """A recorded stream as a sensor with another key, or another power, would send it."""
    firmware = SensorFirmware(key, Random(1))
    recorded = RECORDED["streams"]["normal_20_consecutive"]
    return [
        replace(
            chunk,
            content=firmware.send(
                packet["power_w"] + more_w, packet["battery_mv"], packet["timer_ms"]
            ),
        )
        for packet, chunk in zip(recorded, chunks(later_s=later_s), strict=True)
    ]


def test_health_tells_period_loss_and_when_a_sensor_was_last_heard(start):
    running = start().loaded()
    running.bridge.process([c for number, c in enumerate(chunks()) if number != 10])

    before_ts = time.time()
    report = running.health.report()["sensors"]["main"]
    after_ts = time.time()

    assert 8.8 < report["interval_s"] < 9.0
    assert 0 < report["loss"] < 0.02
    told_ts = times()[-1] + report["last_seen_s_ago"]  # to a tenth
    assert before_ts - 0.1 <= told_ts <= after_ts + 0.1


def test_a_packet_that_two_keys_open_goes_to_the_sensor_that_proves_it(start):
    both = [SENSOR, {"slug": "other", "name": "Other", "key": SENSOR["key"]}]
    running = start(sensors=both).loaded()

    running.bridge.process(chunks())

    assert {reading.sensor for reading in running.readings()} == {"main"}
    assert running.journal.states()["other"].verdicts == {}


def test_a_second_receiver_that_is_seconds_late_is_no_attacker(start):
    names = ("hall", "cellar")
    running = start(receivers=[{"name": name, "port": "simulated:"} for name in names]).loaded()
    late = [
        replace(
            each, receiver="cellar", heard_ts=each.heard_ts + 6, monotonic_s=each.monotonic_s + 6
        )
        for each in chunks()
    ]

    running.bridge.process(sorted(chunks() + late, key=lambda each: each.heard_ts))

    assert running.state.verdicts[Verdict.DUPLICATE] == 20
    assert Verdict.REPLAYED not in running.state.verdicts
    assert not running.events


def test_nobody_seems_silent_whose_packets_wait(start):
    running = start().loaded()
    stopping = threading.Event()
    looked = []
    running.bridge.silence.look = lambda states, _now_ts: looked.append(states["main"].verdicts)

    for chunk in chunks():
        running.bridge.receive(chunk)
    stopping.set()
    running.bridge.serve(stopping, lambda: None)

    assert len(looked) == 1
    assert looked[0][Verdict.VERIFIED] == 15


def test_on_a_full_disk_the_bridge_never_works_until_what_waits_is_written(
    start, caplog, monkeypatch
):
    running = start().loaded()
    states = set()
    monkeypatch.setattr(Bridge, "longest_pause_s", 0.01)
    commit = running.journal.commit

    def refuse(*_):
        raise ResourceAwayError("disk is full")

    running.journal.commit = refuse
    stage = Stage(running.bridge, running.health)
    for chunk in chunks():
        running.bridge.receive(chunk)
    stage.start()

    def stage_health():
        states.add(running.health.stages()["bridge"].state)
        return running.health.stages()["bridge"]

    wait_until(lambda: stage_health().faults >= 20)
    assert states == {"waiting"}
    running.journal.commit = commit
    wait_until(lambda: stage_health().state == "working")

    assert len(running.readings()) == 20
    assert caplog.text.count("disk is full") == 1
    stage.ask_to_stop()
    assert stage.join(DEADLINE_S)


def test_of_a_hundred_sensors_no_packet_goes_to_a_wrong_one(start, tmp_path):
    sensors = [
        {"slug": f"s{n}", "name": f"Sensor {n}", "key": Random(n).randbytes(16).hex()}
        for n in range(100)
    ]
    running = start(sensors=[SENSOR, *sensors]).loaded()
    sent = [chunk for n, chunk in enumerate(isolated(1500)) if n % 3]  # pairs, then one lost

    running.bridge.process(sent)

    entries = running.journal.readings_after(0, 10_000)
    assert {entry.reading.sensor for entry in entries} == {"main"}
    assert len(entries) == len(sent)


def isolated(count):
    """Packets of a sensor that has been running for long."""
    firmware = SensorFirmware(bytes.fromhex(SENSOR["key"]), Random(1), 5_000_000, b"before")
    for n in range(count):
        ts = times()[0] + n * 8.2
        yield Chunk("hall", ts, ts, firmware.measure(500 + n % 100))


def chunk(size):
    return Chunk("hall", 0.0, 0.0, bytes(size))


def test_what_waits_is_taken_together(monkeypatch):
    waiting = ChunkQueue()
    waiting.put(chunk(1))
    waiting.put(chunk(2))
    monkeypatch.setattr(bridge, "IDLE_WAIT_S", 0.0)

    assert waiting.take(threading.Event()) == [chunk(1), chunk(2)]
    assert waiting.take(threading.Event()) == []


def test_one_commit_takes_a_few_kilobytes():
    waiting = ChunkQueue()
    for _ in range(9):
        waiting.put(chunk(1024))

    taken = waiting.take(threading.Event())

    assert (len(taken), len(waiting)) == (4, 5)


def test_what_is_left_is_taken_when_stopping():
    waiting = ChunkQueue()
    waiting.put(chunk(1))
    stopping = threading.Event()
    stopping.set()

    assert waiting.take(stopping) == [chunk(1)]
    assert waiting.take(stopping) is None


def test_a_chunk_for_which_no_room_comes_is_not_taken(monkeypatch):
    monkeypatch.setattr(bridge, "MOST_CHUNKS_WAITING", 1)
    monkeypatch.setattr(bridge, "FULL_WAIT_S", 0.0)
    waiting = ChunkQueue()

    assert waiting.put(chunk(1))
    assert not waiting.put(chunk(2))
