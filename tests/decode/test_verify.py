from collections import Counter
from dataclasses import replace
from operator import itemgetter
from random import Random

import pytest
from Crypto.Cipher import AES
from hypothesis import given, settings
from hypothesis import strategies as st

from cw_mqtt.decode.formats import V1_1
from cw_mqtt.decode.packets import SensorKey, read_plain
from cw_mqtt.decode.verify import judge
from cw_mqtt.model import PROVEN, Chain, Heard, Kept, Packet, Verdict
from cw_mqtt.simulate.firmware import SensorFirmware
from tests.packets import KEY, START_TS, heard


class Judge:
    """Judges packets one after the other."""

    def __init__(self, *sensors):
        self.chains = {sensor: Chain() for sensor in sensors or ("a",)}
        self.kept = Kept()
        self.rebooted = []

    @property
    def chain(self):
        return self.chains["a"]

    def hear(self, packets):
        """Every verdict given, in order."""
        rulings = []
        for packet, heard_ts in packets:
            heard = Heard(packet, heard_ts)
            judgement = judge(self.chains, self.kept, heard)
            self.chains |= judgement.chains
            self.kept = judgement.kept
            self.rebooted += [judgement.restarted] if judgement.restarted else []
            rulings += judgement.rulings
        return rulings


def judge_all(packets):
    """The judge after some packets, and every verdict given, in order."""
    court = Judge()
    rulings = court.hear(packets)
    return court, rulings


def later(packets, by_s):
    """The same packets, heard later."""
    return [(packet, ts + by_s) for packet, ts in packets]


def made(first_timer_ms, count, start_ts, key=KEY, seed=1, form="v1"):
    """Packets of a running sensor of form v1, eight seconds and 800 ms of its timer apart."""
    sensor = SensorFirmware(key, Random(seed), timer_ms=first_timer_ms, tail=b"before")
    decrypt, known = AES.new(key, AES.MODE_ECB).decrypt, SensorKey("a", key, 36000)
    for n in range(count):
        payload = sensor.send(500 + n, 3300, first_timer_ms + 800 * n)
        yield read_plain(decrypt(payload), payload, known), start_ts + 8.0 * n


def final(rulings):
    """Power and verdict of each ruling that was not a waiting one."""
    return [(r.heard.packet.power_w, r.verdict) for r in rulings if r.verdict is not Verdict.HELD]


def accepted(rulings):
    """The powers of the packets that were proven to be the sensor's."""
    return [power for power, verdict in final(rulings) if verdict in PROVEN]


def test_a_first_packet_is_held_and_the_next_proves_both():
    first, second = heard("timer_crosses_2_31")[:2]

    court, rulings = judge_all([first, second])

    assert [r.verdict for r in rulings] == [Verdict.HELD, Verdict.CONFIRMED, Verdict.VERIFIED]
    assert court.chain.newest.packet == second[0]
    assert court.kept.held == ()


@pytest.mark.parametrize("stream", ["timer_crosses_2_31", "timer_wraps_at_2_32"])
def test_the_timer_may_cross_2_31_and_wrap_at_2_32(stream):
    court, rulings = judge_all(heard(stream))

    assert all(verdict.counts for _, verdict in final(rulings))
    assert len(final(rulings)) == len(heard(stream))
    assert court.chain.restarts == 0


def test_the_first_five_packets_of_a_boot_are_settling():
    _, rulings = judge_all(heard("normal_20_consecutive"))

    verdicts = [verdict for _, verdict in final(rulings)]
    assert verdicts == [Verdict.SETTLING] * 5 + [Verdict.VERIFIED] * 15


def test_a_lost_boot_packet_does_not_shorten_the_settling():
    _, rulings = judge_all(heard("normal_20_consecutive")[2:])

    verdicts = [verdict for _, verdict in final(rulings)]
    assert verdicts == [Verdict.SETTLING] * 3 + [Verdict.VERIFIED] * 15


def test_period_and_step_are_learned():
    chain = judge_all(heard("normal_20_consecutive"))[0].chain

    assert len(chain.intervals_s) == len(chain.steps_ms) == 19
    assert 8.8 < min(chain.intervals_s) <= max(chain.intervals_s) < 9.0
    assert 830 <= min(chain.steps_ms) <= max(chain.steps_ms) <= 880


def test_one_lost_packet_costs_no_other():
    packets = heard("timer_crosses_2_31")

    _, rulings = judge_all(packets[:2] + packets[3:])

    assert accepted(rulings) == [
        600,
        601,
        603,
        604,
        605,
    ]


def test_a_packet_with_both_neighbours_lost_is_unverified():
    packets = heard("normal_20_consecutive")

    isolated = packets[:10] + packets[11:12] + packets[14:]

    _, rulings = judge_all([*isolated, *made(7_000_000, 2, packets[-1][1] + 700, seed=5)])

    assert (packets[11][0].power_w, Verdict.UNVERIFIED) in final(rulings)


def test_a_reboot_is_recognised_and_its_first_five_settle():
    court = Judge()
    court.hear(heard("normal_20_consecutive"))

    rulings = court.hear(later(heard("after_reboot"), 1000))

    assert court.chain.restarts == 1
    assert court.rebooted == ["a"]
    assert [verdict for _, verdict in final(rulings)] == [Verdict.SETTLING] * 5


def test_a_forged_packet_does_not_mute_the_sensor():
    packets = heard("timer_crosses_2_31")
    forged = Packet(1, 240, 3000, 4_000_000_000, b"forged", b"ten bytes-" + b"attack")

    _, rulings = judge_all([*packets[:3], (forged, packets[2][1] + 1), *packets[3:]])

    assert accepted(rulings) == [600, 601, 602, 603, 604, 605]


def test_a_pair_whose_timer_cannot_have_come_so_far_is_foreign():
    court = Judge()
    court.hear(heard("after_reboot"))
    newest = court.chain.newest

    rulings = court.hear(later(heard("timer_crosses_2_31"), 60))

    assert {verdict for _, verdict in final(rulings)} == {Verdict.FOREIGN}
    assert court.chain.newest == newest


def test_a_packet_between_two_lost_ones_is_not_proven_and_not_taken_for_a_strangers():
    packets = list(made(5_000_000, 12, START_TS))
    lost = (5, 7)

    court, rulings = judge_all([pair for n, pair in enumerate(packets) if n not in lost])

    assert [held.packet.power_w for held in court.kept.held] == [506]
    assert Verdict.FOREIGN not in {verdict for _, verdict in final(rulings)}


def test_a_neighbour_under_the_same_key_does_not_disturb_the_sensor():
    mine, foreign = heard("normal_20_consecutive")[5:], heard("timer_wraps_at_2_32")
    court = Judge()
    court.hear(mine[:2])
    both = sorted(mine[2:] + later(foreign, 55), key=lambda pair: pair[1])

    rulings = court.hear(both)

    assert accepted(rulings) == [packet.power_w for packet, _ in mine[2:]]


def test_a_neighbour_that_boots_under_the_same_key_is_no_reboot_of_the_sensor():
    mine = list(made(5_000_000, 12, START_TS))
    court = Judge()
    court.hear(mine[:3])
    both = sorted(mine[3:] + later(heard("after_reboot"), 28), key=lambda pair: pair[1])

    rulings = court.hear(both)

    assert accepted(rulings) == [packet.power_w for packet, _ in mine[3:]]
    assert court.rebooted == []


def test_a_reboot_that_was_a_neighbours_is_taken_back():
    mine, neighbour = list(made(5_000_000, 20, START_TS)), heard("after_reboot")
    court = Judge()
    court.hear(mine[:3])
    court.hear(later(neighbour[:2], 20))  # while two of mine are lost
    assert court.rebooted == ["a"]

    rulings = court.hear(sorted([*mine[6:], *later(neighbour[2:], 35)], key=lambda pair: pair[1]))

    assert accepted(rulings)[-12:] == [packet.power_w for packet, _ in mine[8:]]
    assert court.chain.restarts == 0


def test_two_sensors_under_one_key_are_told_apart_by_their_chains():
    first, second = list(made(5_000_000, 10, START_TS)), list(made(90_000, 10, START_TS + 3))
    court = Judge("a", "b")

    rulings = court.hear(sorted(first + second, key=lambda pair: pair[1]))

    by_sensor = {
        sensor: [r.heard.packet for r in rulings if r.sensor == sensor and r.verdict in PROVEN]
        for sensor in ("a", "b")
    }
    assert by_sensor == {"a": [p for p, _ in first], "b": [p for p, _ in second]}


def test_two_sensors_under_one_key_are_told_apart_again_after_losses():
    first, second = list(made(5_000_000, 20, START_TS)), list(made(90_000, 20, START_TS + 3))
    court = Judge("a", "b")
    court.hear(sorted(first[:5] + second[:5], key=lambda pair: pair[1]))

    rulings = court.hear(sorted(first[7:] + second[8:], key=lambda pair: pair[1]))

    proven = [(r.sensor, r.heard.packet) for r in rulings if r.verdict in PROVEN]
    assert sorted(p.power_w for s, p in proven if s == "a") == [p.power_w for p, _ in first[7:]]
    assert sorted(p.power_w for s, p in proven if s == "b") == [p.power_w for p, _ in second[8:]]


def test_held_packets_stay_few_whatever_is_sent():
    noise = [
        (Packet(n, 240, 3000, n, b"padded", n.to_bytes(16)), 1_795_300_000.0) for n in range(1, 500)
    ]

    court, rulings = judge_all(noise)

    assert len(court.kept.held) == 8
    assert sum(r.verdict is Verdict.UNVERIFIED for r in rulings) == 491


def test_a_clock_set_back_does_not_mute_the_sensor():
    packets = heard("timer_crosses_2_31")
    court = Judge()
    court.hear(packets[:2])

    rulings = court.hear(later(packets[3:], -7200))

    assert all(verdict.counts for _, verdict in final(rulings))


def test_loss_is_the_share_of_packets_that_did_not_come():
    packets = list(made(1_000_000, 3000, START_TS))
    every_tenth_lost = [pair for number, pair in enumerate(packets) if number % 10]

    court = Judge()
    court.hear(every_tenth_lost)

    assert court.chain.loss == pytest.approx(0.1, abs=0.04)


def as_v1_1(packets):
    """The same values, in packets that prove themselves."""
    return [
        (replace(packet, format="v1.1", padding=V1_1.tag), heard_ts) for packet, heard_ts in packets
    ]


def test_of_form_v1_1_every_packet_is_verified_alone():
    packets = as_v1_1(made(1_000_000, 10, START_TS))

    _, rulings = judge_all([packets[0], packets[3], packets[7], packets[9]])

    assert [r.verdict for r in rulings] == [Verdict.VERIFIED] * 4


def test_of_form_v1_1_a_lost_packet_repeated_late_and_another_sensor_are_refused():
    packets = as_v1_1(made(1_000_000, 10, START_TS))
    court = Judge()
    court.hear(packets[:4] + packets[5:])

    rulings = court.hear(later(packets[4:5], 100))
    rulings += court.hear(as_v1_1(made(900_000_000, 1, START_TS + 110, seed=9)))

    assert [r.verdict for r in rulings] == [Verdict.FOREIGN] * 2


def test_a_lost_packet_that_somebody_repeats_does_not_mute_the_sensor():
    packets = list(made(5_000_000, 8, START_TS))
    court = Judge()
    court.hear(packets[:4])
    repeated = (packets[4][0], packets[5][1] + 3)

    rulings = court.hear([packets[5], repeated, *packets[6:]])

    assert accepted(rulings)[-3:] == [505, 506, 507]


def test_the_next_packet_is_verified_at_once_however_late_it_comes():
    packets = heard("timer_crosses_2_31")
    court = Judge()
    court.hear(packets[:4])

    rulings = court.hear(later(packets[4:], 3600))

    assert [r.verdict for r in rulings] == [Verdict.VERIFIED] * 2


forged = st.builds(
    Packet,
    st.integers(0, 36_000),
    st.just(240),
    st.integers(1500, 6500),
    st.integers(0, 2**32 - 1),
    st.binary(min_size=6, max_size=6).filter(any),  # zeros need the key
    st.binary(min_size=16, max_size=16),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(forged, st.floats(0, 7.9)), max_size=30), st.booleans())
def test_no_forged_packet_changes_what_is_trusted(shots, copied):
    mine = list(made(5_000_000, 12, START_TS))
    court = Judge()
    court.hear(mine[:10])
    trusted = court.chain
    tail = mine[10][0].tail if copied else b""

    rulings = court.hear(
        (replace(packet, payload=packet.payload[: 16 - len(tail)] + tail), mine[9][1] + after_s)
        for packet, after_s in shots
    )

    assert court.chain == trusted
    assert accepted(rulings) == []
    assert accepted(court.hear(mine[10:])) == [510, 511]


@settings(max_examples=100, deadline=None)
@given(
    st.integers(100_000_000, 2**32 - 100_000),
    st.floats(0, 8),
    st.lists(st.booleans(), min_size=40, max_size=40),
)
def test_no_strangers_packet_changes_what_is_trusted(timer_ms, phase_s, lost):
    mine, start_ts = list(made(5_000_000, 20, START_TS)), START_TS + 20 * 8 + phase_s
    strangers = list(made(timer_ms, 40, start_ts, seed=7))
    court = Judge()
    court.hear(mine)
    trusted = court.chain

    rulings = court.hear(pair for pair, is_lost in zip(strangers, lost, strict=True) if not is_lost)

    assert replace(court.chain, restarts=0, unsettled=0) == trusted
    assert accepted(rulings) == []


@pytest.mark.parametrize("sensors", [1, 100])
def test_what_is_kept_under_a_key_is_bounded(sensors):
    court = Judge(*(f"s{n}" for n in range(sensors)))
    random = Random(1)
    for n in range(300):
        court.hear(made(random.randrange(2**32), 2, START_TS + n * 20, seed=n))

    assert len(court.kept.strangers) == 8
    assert len(court.kept.held) <= max(8, 2 * sensors)


def test_a_hundred_sensors_may_share_a_key():
    slugs = [f"s{n}" for n in range(100)]
    streams = [made(10_000_000 * (n + 1), 5, START_TS + n * 0.08, seed=n) for n in range(100)]
    court = Judge(*slugs)

    rulings = court.hear(sorted((pair for stream in streams for pair in stream), key=itemgetter(1)))

    assert Counter(r.sensor for r in rulings if r.verdict in PROVEN) == dict.fromkeys(slugs, 5)


timers = st.lists(st.integers(0, 2**32 - 1) | st.sampled_from([0, 1, 5, 2**31]), max_size=30)


@settings(max_examples=100, deadline=None)
@given(timers, st.lists(st.floats(-5000, 5000), min_size=30, max_size=30))
def test_whatever_timers_and_times_a_holder_of_the_key_sends_the_chain_decides(timers, passed_s):
    sensor, ts, packets = SensorFirmware(KEY, Random(1)), START_TS, []
    decrypt, known = AES.new(KEY, AES.MODE_ECB).decrypt, SensorKey("a", KEY, 36000)
    for timer_ms, after_s in zip([400, 1000, *timers], passed_s, strict=False):
        payload, ts = sensor.send(500, 3300, timer_ms), ts + after_s
        packets.append((read_plain(decrypt(payload), payload, known), ts))

    _, rulings = judge_all(packets)

    assert {r.verdict for r in rulings} <= set(PROVEN) | {Verdict.HELD, Verdict.FOREIGN}
