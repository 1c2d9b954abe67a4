"""The simulated firmware, against packets whose every byte is known."""

import json
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from Crypto.Cipher import AES

from cw_mqtt.simulate.firmware import (
    SensorFirmware,
    packets,
    receiver_line,
)
from cw_mqtt.simulate.household import plausible_power_w

KNOWN = json.loads((Path(__file__).parents[1] / "data" / "packets.json").read_text())
KEY = bytes(KNOWN["key"])
MIDNIGHT_TS = 1_768_345_200  # in the household, on a Wednesday of January
DAY_S = 86_400


def plain(payload: bytes) -> bytes:
    return AES.new(KEY, AES.MODE_ECB).decrypt(payload)


def power_w(payload: bytes) -> int:
    return int.from_bytes(plain(payload)[:2], "little")


def timer_ms(payload: bytes) -> int:
    return int.from_bytes(plain(payload)[6:10], "little")


def running(timer_ms: int = 0) -> SensorFirmware:
    return SensorFirmware(KEY, Random(1), timer_ms=timer_ms, tail=b"sixsix")


def mean_w(start_ts: float, hours: float) -> float:
    powers_w = [plausible_power_w(start_ts + s) for s in range(0, int(hours * 3600), 60)]
    return sum(powers_w) / len(powers_w)


@pytest.mark.parametrize("stream", KNOWN["streams"].values(), ids=KNOWN["streams"])
def test_every_known_packet_is_made_byte_for_byte(stream: list[dict[str, Any]]) -> None:
    firmware = SensorFirmware(KEY, Random(1))

    made = [firmware.send(p["power_w"], p["battery_mv"], p["timer_ms"]).hex() for p in stream]

    assert made == [p["packet_hex"] for p in stream]


def test_a_packet_carries_the_end_of_the_one_before_it_as_padding() -> None:
    firmware = SensorFirmware(KEY, Random(1))

    sent = [firmware.measure(500) for _ in range(10)]

    assert plain(sent[0])[10:] == bytes(6)
    assert all(plain(after)[10:] == before[10:] for before, after in pairwise(sent))


def test_a_running_sensor_goes_on_from_its_tail_and_timer() -> None:
    payload = running(timer_ms=123_456).measure(500)

    assert plain(payload)[10:] == b"sixsix"
    assert timer_ms(payload) == 123_456


def test_the_timer_advances_by_the_time_awake_and_wraps() -> None:
    firmware = running(timer_ms=2**32 - 1000)

    timers_ms = [timer_ms(firmware.measure(500)) for _ in range(10)]

    steps_ms = [(after - before) % 2**32 for before, after in pairwise(timers_ms)]
    assert all(830 <= step <= 880 for step in steps_ms)
    assert timers_ms[2] < 1000


def test_the_first_five_packets_of_a_boot_settle() -> None:
    firmware = SensorFirmware(KEY, Random(1))

    shown_w = [power_w(firmware.measure(1020)) for _ in range(7)]

    assert shown_w == [1510, 1055, 1017, 1020, 1020, 1020, 1020]


def test_a_reboot_begins_with_an_empty_padding_and_a_small_timer() -> None:
    firmware = running(timer_ms=10_000_000)
    firmware.measure(1000)

    firmware.reboot()
    payload = firmware.measure(1000)

    assert plain(payload)[10:] == bytes(6)
    assert timer_ms(payload) < 500
    assert power_w(payload) == 1480


def test_format_v1_1_carries_a_constant_tag_as_padding() -> None:
    firmware = SensorFirmware(KEY, Random(1), format_name="v1.1")

    sent = [plain(firmware.measure(1020)) for _ in range(3)]

    assert {packet[10:] for packet in sent} == {b"CWv1.1"}
    assert int.from_bytes(sent[0][:2], "little") == 1510


@pytest.mark.parametrize(("true_w", "sent_w"), [(-5, 0), (0, 0), (65_535, 65_535), (1e6, 65_535)])
def test_a_power_is_kept_within_what_16_bits_hold(true_w: float, sent_w: int) -> None:
    assert power_w(running().measure(true_w)) == sent_w


def test_the_same_randomness_gives_the_same_packets() -> None:
    streams = [packets(SensorFirmware(KEY, Random(7)), 1e9, lambda _: 500.0) for _ in range(2)]

    first, second = (list(islice(stream, 20)) for stream in streams)

    assert first == second


def test_packets_come_once_a_period_with_the_power_of_their_moment() -> None:
    stream = packets(running(), 100.0, lambda ts: ts, period_s=10.0, jitter_s=0.5)

    (first_ts, first), (second_ts, second) = islice(stream, 2)

    assert first_ts == 100.0
    assert 109.5 <= second_ts <= 110.5
    assert [power_w(first), power_w(second)] == [100, round(second_ts)]


def test_a_payload_is_written_as_our_receiver_writes_it() -> None:
    line = receiver_line(255, bytes(range(16)))

    assert line == b"CW1 P 255 1 000102030405060708090a0b0c0d0e0f 1 *9288\n"


def test_a_household_draws_the_same_at_the_same_moment_for_the_same_seed() -> None:
    moments = range(MIDNIGHT_TS, MIDNIGHT_TS + DAY_S, 600)

    first, again, other = ([plausible_power_w(ts, seed) for ts in moments] for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_a_household_always_draws_something_and_never_too_much() -> None:
    powers_w = [plausible_power_w(MIDNIGHT_TS + s) for s in range(0, 365 * DAY_S, 1800)]

    assert min(powers_w) > 30
    assert max(powers_w) < 9000


def test_a_household_draws_more_in_winter_and_in_the_evening() -> None:
    july_ts = MIDNIGHT_TS + 181 * DAY_S

    assert mean_w(MIDNIGHT_TS, 24 * 14) > 1.3 * mean_w(july_ts, 24 * 14)
    assert mean_w(july_ts + 19 * 3600, 1) > 2 * mean_w(july_ts + 15 * 3600, 1)
