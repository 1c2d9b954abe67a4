import pytest

from cw_mqtt.decode.verify import judge
from cw_mqtt.model import Chain, Packet, Verdict
from tests.packets import heard

PROVEN = (Verdict.VERIFIED, Verdict.CONFIRMED, Verdict.SETTLING)


def judge_all(packets, chain=None):
    """The chain after some packets, and every verdict given, in order."""
    chain, rulings = chain or Chain(), []
    for packet, heard_ts in packets:
        judgement = judge(chain, packet, heard_ts)
        chain = judgement.chain
        rulings += judgement.rulings
    return chain, rulings


def final(rulings):
    """Power and verdict of each ruling that was not a waiting one."""
    return [(r.packet.power_w, r.verdict) for r in rulings if r.verdict is not Verdict.HELD]


def accepted(rulings):
    """The powers of the packets that were proven to be the sensor's."""
    return [power for power, verdict in final(rulings) if verdict in PROVEN]


def test_a_first_packet_is_held_and_the_next_proves_both():
    first, second = heard("timer_crosses_2_31")[:2]

    chain, rulings = judge_all([first, second])

    assert [r.verdict for r in rulings] == [Verdict.HELD, Verdict.CONFIRMED, Verdict.VERIFIED]
    assert chain.tail == second[0].tail
    assert chain.held == ()


@pytest.mark.parametrize("stream", ["timer_crosses_2_31", "timer_wraps_at_2_32"])
def test_the_timer_may_cross_2_31_and_wrap_at_2_32(stream):
    chain, rulings = judge_all(heard(stream))

    assert all(verdict.counts for _, verdict in final(rulings))
    assert len(final(rulings)) == len(heard(stream))
    assert chain.restarts == 0


def test_the_first_five_packets_of_a_boot_are_settling():
    _, rulings = judge_all(heard("normal_20_consecutive"))

    verdicts = [verdict for _, verdict in final(rulings)]
    assert verdicts == [Verdict.SETTLING] * 5 + [Verdict.VERIFIED] * 15


def test_a_lost_boot_packet_does_not_shorten_the_settling():
    _, rulings = judge_all(heard("normal_20_consecutive")[2:])

    verdicts = [verdict for _, verdict in final(rulings)]
    assert verdicts == [Verdict.SETTLING] * 3 + [Verdict.VERIFIED] * 15


def test_period_and_step_are_learned():
    chain, _ = judge_all(heard("normal_20_consecutive"))

    assert len(chain.intervals_s) == 19
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

    _, rulings = judge_all(packets[:10] + packets[11:12] + packets[14:])

    assert (packets[11][0].power_w, Verdict.UNVERIFIED) in final(rulings)


def test_a_reboot_is_recognised_and_its_first_five_settle():
    before, _ = judge_all(heard("normal_20_consecutive"))
    later = [(packet, ts + 1000) for packet, ts in heard("after_reboot")]

    chain, rulings = judge_all(later, before)

    assert chain.restarts == 1
    assert [verdict for _, verdict in final(rulings)] == [Verdict.SETTLING] * 5


@pytest.mark.parametrize(("later_s", "verdict"), [(0.5, "duplicate"), (60, "replayed")])
def test_the_same_payload_again_changes_nothing(later_s, verdict):
    chain, _ = judge_all(heard("timer_crosses_2_31"))
    packet, heard_ts = heard("timer_crosses_2_31")[-1]

    after, rulings = judge_all([(packet, heard_ts + later_s)], chain)

    assert [r.verdict for r in rulings] == [verdict]
    assert after == chain


def test_a_forged_packet_does_not_mute_the_sensor():
    packets = heard("timer_crosses_2_31")
    forged = Packet(1, 240, 3000, 4_000_000_000, b"forged", b"ten bytes-" + b"attack")

    _, rulings = judge_all([*packets[:3], (forged, packets[2][1] + 1), *packets[3:]])

    assert accepted(rulings) == [
        600,
        601,
        602,
        603,
        604,
        605,
    ]


def test_a_pair_whose_timer_cannot_have_come_so_far_is_foreign():
    chain, _ = judge_all(heard("after_reboot"))
    soon = [(packet, ts + 60) for packet, ts in heard("timer_crosses_2_31")]

    after, rulings = judge_all(soon, chain)

    assert {verdict for _, verdict in final(rulings)} == {Verdict.FOREIGN}
    assert after.tail == chain.tail


def test_a_neighbour_under_the_same_key_does_not_disturb_the_sensor():
    mine, foreign = heard("normal_20_consecutive")[5:], heard("timer_wraps_at_2_32")
    start, _ = judge_all(mine[:2])
    shifted = [(packet, ts + 55) for packet, ts in foreign]
    both = sorted(mine[2:] + shifted, key=lambda pair: pair[1])

    _, rulings = judge_all(both, start)

    assert accepted(rulings) == [packet.power_w for packet, _ in mine[2:]]


def test_held_packets_stay_few_whatever_is_sent():
    noise = [
        (Packet(n, 240, 3000, n, b"padded", n.to_bytes(16)), 1_795_300_000.0) for n in range(1, 500)
    ]

    chain, rulings = judge_all(noise)

    assert len(chain.held) == 8
    assert sum(r.verdict is Verdict.UNVERIFIED for r in rulings) == 491


def test_a_clock_set_back_does_not_mute_the_sensor():
    packets = heard("timer_crosses_2_31")
    chain, _ = judge_all(packets[:2])
    earlier = [(packet, ts - 7200) for packet, ts in packets[3:]]

    _, rulings = judge_all(earlier, chain)

    assert all(verdict.counts for _, verdict in final(rulings))
