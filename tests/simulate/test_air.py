"""The simulated air: what is lost, repeated and forged, and that the truth is told about it."""

from collections import Counter
from itertools import islice, pairwise
from random import Random

from cw_mqtt.simulate.firmware import SensorFirmware
from tests.packets import KEY, START_TS
from tests.simulate.air import (
    Attacker,
    Habits,
    Kind,
    attacked,
    broadcast,
    lossy,
    mutated,
    repeated,
)


def sent(count=1000, **habits):
    firmware = SensorFirmware(KEY, Random(1))
    signals = broadcast("main", firmware, START_TS, lambda _: 500, Habits(**habits))
    return list(islice(signals, count))


def test_a_signal_tells_what_its_packet_says():
    signals = sent(7)

    assert [s.power_w for s in signals] == [740, 517, 498, 500, 500, 500, 500]
    assert [s.settling for s in signals] == [True] * 5 + [False] * 2


def test_packets_come_once_a_period_which_follows_the_warmth_of_the_day():
    gaps_s = [after.ts - before.ts for before, after in pairwise(sent(10_000, drift=0.1))]

    assert 7.3 < min(gaps_s) < 7.5
    assert 8.9 < max(gaps_s) < 9.1


def test_a_reboot_comes_after_so_many_packets_and_takes_time():
    signals = sent(25, reboot_every=10)

    assert [s.place for s in signals] == [*range(10), *range(10), *range(5)]
    assert signals[10].ts - signals[9].ts > 9


def test_a_share_is_lost_and_known_to_be():
    signals = list(lossy(sent(), 0.1, Random(1)))

    assert len(signals) == 1000
    assert 80 < sum(s.lost for s in signals) < 120


def test_the_radio_repeats_what_was_heard_within_eighty_milliseconds():
    signals = list(repeated(lossy(sent(), 0.5, Random(1)), 1.0, Random(1)))

    repeats = [(before, s) for before, s in pairwise(signals) if s.kind is Kind.REPEAT]
    assert len(repeats) == sum(not s.lost for s in signals) / 2
    assert all(s.payload == before.payload for before, s in repeats)
    assert all(0 <= s.ts - before.ts <= 0.08 for before, s in repeats)


def test_an_attacker_sends_half_replays_half_forgeries_and_runs_in_order():
    signals = list(attacked(sent(), Attacker(Random(1))))

    kinds = Counter(s.kind for s in signals)
    assert kinds[Kind.PACKET] == 999
    assert 1300 < kinds[Kind.REPLAY] < 1700
    assert 1300 < kinds[Kind.NOISE] + kinds[Kind.MUTATION] < 1700
    assert kinds[Kind.RUN] > 300
    assert all(before.ts <= after.ts for before, after in pairwise(signals))


def test_an_attacker_replays_only_what_was_already_sent():
    known, early = set(), []

    for signal in attacked(lossy(sent(), 0.2, Random(1)), Attacker(Random(1))):
        if signal.kind is Kind.PACKET:
            known.add(signal.payload)
        early += [signal] if signal.kind.replayed and signal.payload not in known else []

    assert early == []


def test_an_attacker_who_does_not_replay_only_forges():
    signals = attacked(sent(), Attacker(Random(1), at_once=10, replays=0.0))

    assert {s.kind for s in signals} == {Kind.PACKET, Kind.NOISE, Kind.MUTATION}


def test_a_mutation_differs_and_keeps_the_tail_half_of_the_time():
    random, payload = Random(1), bytes(range(16))

    mutations = [mutated(payload, random) for _ in range(1000)]

    assert payload not in mutations
    assert 500 < sum(each[10:] == payload[10:] for each in mutations) < 750
