"""One forged or replayed packet never mutes a sensor: each attack, at the worst moments."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from random import Random

import pytest
from Crypto.Cipher import AES

from cw_mqtt.simulate.firmware import SensorFirmware
from tests.packets import KEY
from tests.simulate.air import Kind, Signal, mutated
from tests.simulation.house import Scene, sensor
from tests.simulation.scoring import accepted_readings, score

REBOOT_EVERY = 80
SOON_S, LATER_S = 0.5, 4.0
MOST_CONFUSED = 4  # packets that it may take to see through old ones that nobody had heard
MOMENTS = {"long after a boot": 150, "right after a boot": 163, "just before a boot": 160}
decrypt = AES.new(KEY, AES.MODE_ECB).decrypt


def plausible(payloads: Iterator[bytes]) -> bytes:
    """The first payload that happens to decrypt to what a sensor could have sent."""
    for payload in payloads:
        power_w, voltage_v, battery_mv = struct.unpack_from("<HHH", decrypt(payload))
        if power_w <= 36_000 and 100 <= voltage_v <= 260 and 1600 <= battery_mv <= 6000:
            return payload
    raise AssertionError("there is always another one")


def noise(random: Random) -> Iterator[bytes]:
    while True:
        yield random.randbytes(16)


def with_tail_of(payload: bytes, random: Random) -> Iterator[bytes]:
    """Other packets with the same end, which is what the next packet proves."""
    while True:
        yield random.randbytes(10) + payload[10:]


def run(sent: list[Signal], start: int, length: int = 12) -> list[bytes]:
    return [signal.payload for signal in sent[start : start + length]]


def neighbours_packet(_sent: list[Signal], random: Random) -> list[bytes]:
    firmware = SensorFirmware(KEY, random, timer_ms=3_000_000_000, tail=b"others")
    return [firmware.measure(777)]


Attack = Callable[[list[Signal], Random], list[bytes]]
ATTACKS: dict[str, Attack] = {
    "the newest packet again": lambda sent, _: run(sent, -1),
    "the newest packet fifty times": lambda sent, _: run(sent, -1) * 50,
    "a packet of this boot": lambda sent, _: run(sent, -3, 1),
    "a packet of an earlier boot": lambda sent, _: run(sent, 30, 1),
    "the first packet of an earlier boot": lambda sent, _: run(sent, REBOOT_EVERY, 1),
    "the first packet of all": lambda sent, _: run(sent, 0, 1),
    "the newest packets in order": lambda sent, _: run(sent, -12),
    "a run of an earlier boot": lambda sent, _: run(sent, 30),
    "the first run of an earlier boot": lambda sent, _: run(sent, REBOOT_EVERY),
    "all that was ever sent, in order": lambda sent, _: run(sent, 0, 1000),
    "a random block": lambda _, random: [random.randbytes(16)],
    "a plausible random block": lambda _, random: [plausible(noise(random))],
    "five plausible random blocks": lambda _, random: [plausible(noise(random)) for _ in range(5)],
    "a packet with flipped bits": lambda sent, random: [mutated(sent[-1].payload, random)],
    "a plausible block with the newest tail": lambda sent, random: [
        plausible(with_tail_of(sent[-1].payload, random))
    ],
    "zeros": lambda _sent, _: [bytes(16)] * 20,
    "ones": lambda _sent, _: [b"\xff" * 16] * 20,
    "a packet of a neighbour under the same key": neighbours_packet,
}


def attack_signals(name: str, sent: list[Signal], ts: float) -> list[Signal]:
    """The attack after `sent`, from `ts` on."""
    payloads = ATTACKS[name](sent, Random(1))
    return [Signal(ts + n * 0.02, p, kind=Kind.RUN) for n, p in enumerate(payloads)]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("lost", [False, True], ids=["all heard", "one lost"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_and_costs_no_packet(listener, attack, lost, moment):
    sent = list(sensor(Scene(packets=220, reboot_every=REBOOT_EVERY)))
    before, after = sent[: MOMENTS[moment]], sent[MOMENTS[moment] :]
    before[-2] = replace(before[-2], lost=lost)  # then the newest one is held
    attacks = attack_signals(attack, [s for s in before if not s.lost], before[-1].ts + SOON_S)

    heard = listener.hear([*before, *attacks, *after])

    result = score(heard, accepted_readings(listener.counting()))
    assert result.accepted >= result.provable, result
    assert result.deceived == result.late == 0, result


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_after_a_restart_of_the_bridge_is_refused(listener, attack):
    sent = list(sensor(Scene(packets=220, reboot_every=REBOOT_EVERY)))
    listener.hear(sent[:170])
    listener.restart()

    attacks = attack_signals(attack, sent[:170], sent[169].ts + SOON_S)
    listener.hear([*attacks, *sent[170:]])

    result = score([*sent[:170], *attacks, *sent[170:]], accepted_readings(listener.counting()))
    assert result.accepted >= result.provable, result
    assert result.deceived == result.late == 0, result


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("late_by", range(1, 6))
def test_a_lost_packet_that_is_repeated_later_costs_no_other(listener, late_by, moment):
    sent = list(sensor(Scene(packets=220, reboot_every=REBOOT_EVERY)))
    lost = MOMENTS[moment] + 10
    signals = [*sent[:lost], replace(sent[lost], lost=True), *sent[lost + 1 :]]
    again = replace(sent[lost], ts=sent[lost + late_by].ts - LATER_S, kind=Kind.REPLAY)

    heard = listener.hear(sorted([*signals, again]))

    result = score(heard, accepted_readings(listener.counting()))
    assert result.accepted >= result.provable, result
    assert result.deceived == 0, result


@pytest.mark.parametrize("late_by", range(1, 6))
def test_what_was_lost_and_repeated_later_makes_no_old_packet_good(listener, late_by):
    sent = list(sensor(Scene(packets=120, reboot_every=None)))
    signals = [replace(s, lost=place in (99, 101, 103)) for place, s in enumerate(sent)]
    ts = sent[103 + late_by].ts - LATER_S
    again = [replace(s, ts=ts + n / 5, kind=Kind.RUN) for n, s in enumerate(sent[96:104])]

    heard = listener.hear(sorted([*signals, *again]))

    result = score(heard, accepted_readings(listener.counting()))
    assert result.accepted >= result.provable, result
    assert result.deceived == 0, result


@pytest.mark.parametrize("late_by", range(2, 8))
def test_two_lost_packets_that_are_repeated_at_the_sensors_pace_mute_nobody(listener, late_by):
    sent = list(sensor(Scene(packets=120, reboot_every=None)))
    lost = [replace(s, lost=place in (80, 81, 83, 85, 87)) for place, s in enumerate(sent)]
    again = [
        replace(sent[place], ts=sent[place + late_by].ts + LATER_S, kind=Kind.RUN)
        for place in (80, 81)
    ]

    heard = listener.hear(sorted([*lost, *again]))

    result = score(heard, accepted_readings(listener.counting()))
    assert result.accepted >= result.provable - MOST_CONFUSED, result
    assert result.deceived == 0, result


@pytest.mark.parametrize("seed", range(5))
def test_a_block_with_the_tail_of_the_first_packet_is_not_taken_for_it(listener, seed):
    sent = list(sensor(Scene(packets=20), key=KEY))
    first = replace(sent[0], lost=True)
    payload = plausible(with_tail_of(first.payload, Random(seed)))
    forged = Signal(first.ts + SOON_S, payload, kind=Kind.MUTATION)

    heard = listener.hear([first, forged, *sent[1:]])

    result = score(heard, accepted_readings(listener.counting()))
    assert result.accepted >= result.provable, result
    assert result.deceived == 0, result


def test_an_attacker_who_floods_the_line_with_plausible_blocks_delays_nobody(listener):
    sent = list(sensor(Scene(packets=60, loss=0.0, reboot_every=20)))
    random = Random(1)
    flood = [plausible(noise(random)) for _ in range(30)]

    def flooded() -> Iterator[Signal]:
        for signal in sent:
            yield signal
            for n, payload in enumerate(islice(random.sample(flood, 5), 5)):
                yield Signal(signal.ts + SOON_S + n / 2, payload, kind=Kind.NOISE)

    heard = listener.hear(flooded())

    result = score(heard, accepted_readings(listener.counting()))
    assert result.accepted >= result.provable, result
    assert result.deceived == 0, result
