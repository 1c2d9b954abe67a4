"""The sensor's program on a simulated board: what it measures, encrypts and sends."""

from itertools import pairwise, product

import pytest
from Crypto.Cipher import AES

from cw_mqtt.decode.packets import SensorKey, read_plain
from tests.amounts import amount
from tests.firmware.simulator import Simulation, lines, payload_of, sent
from tests.packets import KEY

MAINS_V = 240
SENT_ON_BAD_AIR = amount(3, torture=30)
AMPERE_A_VOLT = 2000 / 22
ORIGINAL_AWAKE_MS, PERIOD_MS = 637, 8192  # of the firmware of 2014, in such a simulation
FIPS_197 = [  # key, block, encrypted block: appendices B and C.1
    (
        "2b7e151628aed2a6abf7158809cf4f3c",
        "3243f6a8885a308d313198a2e0370734",
        "3925841d02dc09fbdc118597196a0b32",
    ),
    (
        "000102030405060708090a0b0c0d0e0f",
        "00112233445566778899aabbccddeeff",
        "69c4e0d86a7b0430d8cdb78070b4c55a",
    ),
]


def packets(events):
    """What a sensor sent, decrypted."""
    decrypt, key = AES.new(KEY, AES.MODE_ECB).decrypt, SensorKey("main", KEY, 65535)
    return [read_plain(decrypt(p), p, key) for p in map(payload_of, sent(events))]


def said(events):
    """What the sensor says on its serial port."""
    return [e.text for e in events if (e.board, e.what) == ("sensor", "says")]


@pytest.fixture
def board(workshop):
    """Makes a sensor that runs this program; whatever it sends is heard."""

    def make(program="sensor.elf"):
        return Simulation(workshop.make("host"), sensor=workshop.make(program))

    return make


@pytest.mark.parametrize(
    ("current_a", "battery_mv", "mains_hz"),
    amount(
        [(2, 2800, 60), (12, 3300, 50)],
        torture=list(product((2, 4.25, 12), (2800, 3300), (50, 60))),
    ),
)
def test_the_power_of_a_sine_is_right_from_the_first_packet(board, current_a, battery_mv, mains_hz):
    events = board().run(
        f"0 clamp {current_a}", f"0 battery {battery_mv}", f"0 mains {mains_hz}", "25000 end"
    )

    powers_w = [packet.power_w for packet in packets(events)]
    assert powers_w == [pytest.approx(current_a * MAINS_V, rel=0.02)] * 3
    assert packets(events)[0].battery_mv == pytest.approx(battery_mv, rel=0.005)


def test_without_a_current_there_is_no_power(board):
    assert [packet.power_w for packet in packets(board().run("17000 end"))] == [0, 0]


def test_a_load_that_changes_shows_in_the_next_packet(board):
    events = board().run("0 clamp 0", "10000 clamp 10", "20000 clamp 1", "26000 end")

    expected_w = [0, pytest.approx(2400, rel=0.02), pytest.approx(240, rel=0.02)]
    assert [packet.power_w for packet in packets(events)] == expected_w


@pytest.mark.parametrize(("key", "block", "encrypted"), FIPS_197)
def test_aes_gives_what_fips_197_demands(board, key, block, encrypted):
    events = board("aes_vectors.elf").run(f"100 serial sensor {key}{block}", "500 end")

    assert said(events) == [f"{encrypted.upper()}<0d>"]


def test_form_v1_chains_each_packet_to_the_one_before_it(board):
    sent_packets = packets(board("FORMAT_V1.elf").run("0 clamp 4.25", "42000 end"))

    assert len(sent_packets) == 5
    assert sent_packets[0].padding == bytes(6)
    assert all(after.padding == before.tail for before, after in pairwise(sent_packets))
    assert {packet.format for packet in sent_packets} == {"v1"}


def test_the_timer_of_form_v1_stands_still_while_the_sensor_sleeps(board):
    events = board("FORMAT_V1.elf").run("42000 end")

    timers_ms = [packet.timer_ms for packet in packets(events)]
    times_ms = [event.at_ms for event in sent(events)]
    assert timers_ms[0] == pytest.approx(times_ms[0], abs=50)
    assert all(0 < after - before < 200 for before, after in pairwise(timers_ms))
    assert all(8200 < after - before < 8500 for before, after in pairwise(times_ms))


def test_the_timer_and_the_chain_of_form_v1_begin_anew_at_a_reset(board):
    events = board("FORMAT_V1.elf").run("20000 reset sensor", "30000 end")

    first, _, after_reset = packets(events)
    assert after_reset.padding == bytes(6)
    assert after_reset.timer_ms == pytest.approx(first.timer_ms, abs=5)


def test_each_packet_of_form_v1_1_proves_itself(board):
    sent_packets = packets(board("FORMAT_V1_1.elf").run("26000 end"))

    assert [(p.format, p.padding) for p in sent_packets] == [("v1.1", b"CWv1.1")] * 3


def test_a_packet_that_nobody_acknowledges_is_tried_16_times(board):
    events = board().run("0 loss 1", "10000 end")

    attempts = [event for event in events if event.what == "air"]
    assert len(attempts) == 16
    assert len({event.text for event in attempts}) == 1
    assert attempts[-1].at_ms - attempts[0].at_ms < 80


def test_on_bad_air_no_packet_is_lost_or_said_twice(workshop):
    programs = [workshop.make(name) for name in ("host", "receiver.elf", "sensor.elf")]

    events = Simulation(*programs).run("0 loss 0.4", f"{SENT_ON_BAD_AIR * 9000} end")

    said_once = [event.fields[3] for event in lines(events, "P")]
    assert said_once == [payload_of(event).hex() for event in sent(events)]
    assert len(said_once) >= SENT_ON_BAD_AIR


def test_it_is_awake_for_a_quarter_of_the_time_of_the_firmware_of_2014(board):
    events = board().run("10000 count", "100000 awake", "100000 end")

    awake = next(float(event.text) for event in events if event.what == "awake")
    assert awake < ORIGINAL_AWAKE_MS / (ORIGINAL_AWAKE_MS + PERIOD_MS) / 4


def test_it_is_calibrated_by_typing_the_true_power_and_keeps_that(board):
    typed = b"1100\n".hex()
    events = board().run(
        "0 clamp 4.25", f"3500 serial sensor {typed}", "19000 reset sensor", "28000 end"
    )

    assert any(text.startswith("Calibrated, and kept: A/V 98.") for text in said(events))
    before_and_after_reset_w = [packet.power_w for packet in packets(events)]
    assert before_and_after_reset_w == [pytest.approx(1100, rel=0.02)] * 2


def test_a_calibration_without_a_load_is_refused(board):
    events = board().run(f"3500 serial sensor {b'1100'.hex()}", "17000 end")

    assert any(text.startswith("Not calibrated: switch on a heater") for text in said(events))
