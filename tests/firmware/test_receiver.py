"""The receiver's program on a simulated board: what it says on its serial port."""

import pytest

from tests.firmware.simulator import Simulation, lines, payloads_of, send
from tests.packets import payloads

FIRST, SECOND, THIRD = payloads()[:3]
SETTINGS = {  # register: value
    0x00: 0x0F,  # CONFIG: CRC of 16 bits, powered up, receiver
    0x01: 0x02,  # EN_AA: acknowledges on pipe 1
    0x02: 0x02,  # EN_RXADDR: listens on pipe 1
    0x03: 0x03,  # SETUP_AW: addresses of 5 bytes
    0x05: 76,  # RF_CH
    0x06: 0x26,  # RF_SETUP: 250 kbit/s, 0 dBm
    0x12: 16,  # RX_PW_P1: payloads of 16 bytes
    0x1C: 0,  # DYNPD
    0x1D: 0,  # FEATURE
}


def kinds(events):
    """What the receiver says, without its checksums and packets' numbers."""
    return [" ".join(e.fields) for e in lines(events)]


def test_the_radio_listens_as_configured_within_500_ms(receiver):
    events = receiver.run("500 registers receiver", "500 end")

    registers, address, enabled = next(e for e in events if e.what == "registers").text.split()
    assert {at: bytes.fromhex(registers)[at] for at in SETTINGS} == SETTINGS
    assert (address, enabled) == ("e056d446d0", "1")


def test_at_boot_it_says_only_that_it_is_there(receiver):
    events = receiver.run("3000 end")

    assert kinds(events) == ["H 1.0.0 ok"]


def test_a_packet_is_said_once_within_50_ms(receiver):
    events = receiver.run(send(1000, 1, FIRST), "2000 end")

    (line,) = lines(events, "P")
    assert line.fields == ("P", "0", "1", FIRST.hex(), "1")
    assert line.at_ms < 1050


def test_three_packets_back_to_back_are_said_in_their_order(receiver):
    script = [send(1000 + n, n, payload) for n, payload in enumerate((FIRST, SECOND, THIRD))]

    said = lines(receiver.run(*script, "2000 end"), "P")

    assert payloads_of(said) == [FIRST.hex(), SECOND.hex(), THIRD.hex()]
    assert [e.fields[1] for e in said] == ["0", "1", "2"]


def test_a_burst_that_the_cable_is_too_slow_for_waits(receiver):
    burst = [bytes([n] * 16) for n in range(1, 16)]
    script = [send(1000 + 3 * n, n % 4, payload) for n, payload in enumerate(burst)]

    said = lines(receiver.run(*script, "2000 end"), "P")

    assert payloads_of(said) == [payload.hex() for payload in burst]


def test_a_repeat_of_the_radio_is_said_once(receiver):
    events = receiver.run(send(1000, 1, FIRST), send(1005, 1, FIRST), "2000 end")

    assert payloads_of(lines(events, "P")) == [FIRST.hex()]


def test_of_100_packets_20_ms_apart_none_is_lost(receiver):
    many = [bytes([n] * 16) for n in range(100)]
    script = [send(1000 + 20 * n, n % 4, payload) for n, payload in enumerate(many)]

    said = lines(receiver.run(*script, "4000 end"), "P")

    assert payloads_of(said) == [payload.hex() for payload in many]
    assert [e.fields[1] for e in said] == [str(n) for n in range(100)]


def test_a_packet_for_another_receiver_is_none_of_ours(receiver):
    events = receiver.run(send(1000, 1, FIRST, address="F0F0F0F0D2"), "2000 end")

    assert lines(events, "P") == []


@pytest.mark.parametrize("stuck", ["zeros", "ones"])
def test_without_a_radio_it_says_so_and_no_packet(receiver, stuck):
    events = receiver.run(f"0 radio {stuck}", "5000 end")

    assert kinds(events) == ["H 1.0.0 none"]


@pytest.mark.parametrize(
    ("fault", "end"),
    [
        ("brownout", "works"),
        ("zeros", "works"),
        ("zeros", "brownout"),
        ("ones", "works"),
        ("ones", "brownout"),
    ],
)
def test_a_radio_that_fails_is_told_and_mended_within_5_s(receiver, fault, end):
    events = receiver.run(
        f"1950 radio {fault}", f"4000 radio {end}", send(9000, 1, FIRST), "9500 end"
    )

    assert kinds(events) == [
        "H 1.0.0 ok",
        "E radio-lost",
        "E radio-restarted",
        f"P 0 1 {FIRST.hex()} 1",
    ]


@pytest.mark.parametrize("stuck", ["zeros", "ones"])
def test_a_loose_wire_makes_up_no_packet(receiver, stuck):
    many = [bytes([n] * 16) for n in range(1, 100)]
    loose = [
        f"{ms} radio {state}"
        for start_ms in range(1000, 3000, 13)
        for ms, state in ((start_ms, stuck), (start_ms + 5, "works"))
    ]
    packets = [send(1000 + 20 * n, n % 4, payload) for n, payload in enumerate(many)]
    script = sorted((*loose, *packets), key=lambda line: int(line.split()[0]))

    said = payloads_of(lines(receiver.run(*script, "4000 end"), "P"))

    assert said == [payload.hex() for payload in many if payload.hex() in said]
    assert len(said) > 50


@pytest.mark.parametrize("fault", ["zeros", "ones"])
def test_a_radio_that_comes_after_the_boot_is_mended_within_5_s(receiver, fault):
    events = receiver.run(
        f"0 radio {fault}", "3000 radio brownout", send(8000, 1, FIRST), "8500 end"
    )

    assert kinds(events) == ["H 1.0.0 none", "E radio-restarted", f"P 0 1 {FIRST.hex()} 1"]


def test_a_radio_that_browns_out_at_boot_is_mended(receiver):
    events = receiver.run("110 radio brownout", send(5000, 1, FIRST), "5500 end")

    assert payloads_of(lines(events, "P")) == [FIRST.hex()]


def test_a_radio_without_plus_is_told(receiver):
    assert kinds(receiver.run("0 radio plain", "3000 end")) == ["H 1.0.0 plain"]


def test_what_arrives_on_the_serial_port_is_harmless(receiver):
    garbage = bytes(range(256)) * 4
    events = receiver.run(
        f"10 serial receiver {garbage.hex()}",
        f"1000 serial receiver {garbage.hex()}",
        send(1010, 1, FIRST),
        "2000 end",
    )

    assert kinds(events) == ["H 1.0.0 ok", f"P 0 1 {FIRST.hex()} 1"]


def test_it_tells_every_minute_that_it_is_alive_and_what_it_heard(receiver):
    events = receiver.run(send(1000, 1, FIRST), "30000 radio brownout", "61000 end")

    assert kinds(events)[-1] == "S 60 1 0 2"


def test_a_reset_begins_anew(receiver):
    events = receiver.run(
        send(1000, 1, FIRST), "2000 reset receiver", send(3000, 2, SECOND), "4000 end"
    )

    assert kinds(events) == [
        "H 1.0.0 ok",
        f"P 0 1 {FIRST.hex()} 1",
        "H 1.0.0 ok",
        f"P 0 1 {SECOND.hex()} 1",
    ]


@pytest.fixture
def five_pipes(tmp_path, workshop):
    """A receiver for five sensors."""
    changed = workshop.with_sensors(tmp_path, *(f"0xD{n}" for n in range(5)))
    return Simulation(workshop.make("host"), receiver=changed.make("receiver.elf"))


def test_five_sensors_have_a_pipe_each(five_pipes):
    script = [send(1000 + 50 * n, n % 4, FIRST, address=f"E056D446D{n}") for n in range(5)]

    said = lines(five_pipes.run(*script, "2000 end"), "P")

    assert [e.fields[2] for e in said] == ["1", "2", "3", "4", "5"]
