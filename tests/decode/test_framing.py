import binascii
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cw_mqtt.decode.framing import Framer, StatusLine
from cw_mqtt.model import Chunk
from cw_mqtt.simulate.firmware import SensorFirmware
from tests.packets import KEY, OTHER_KEY, chunk, keyring, payloads

BOOT_TEXT = b"CitizenWatt receiver ready\r\n"
PERIOD_S = 8.0


class Ear:
    """Feeds a framer and remembers, as the bridge does, the tail of the last packet."""

    def __init__(self, form="auto", *keys):
        self.tails = []
        self.framer = Framer(form, keyring(*keys, tails=self.tails).open)

    def hear(self, *chunks: Chunk) -> list[bytes]:
        """The payloads and lines that come of some chunks."""
        found = []
        for piece in (piece for each in chunks for piece in self.framer.feed(each)):
            if isinstance(piece, StatusLine):
                found.append(piece)
            else:
                found.append(piece[0].packet.payload)
                self.tails[:] = [piece[0].packet.tail]
        return found


def line(body: bytes) -> bytes:
    return b"%s *%04X\n" % (body, binascii.crc_hqx(body, 0xFFFF))


def payload_line(seq: int, payload: bytes) -> bytes:
    return line(b"CW1 P %d 1 %s 1" % (seq, payload.hex().encode()))


def bursts(contents: list[bytes]) -> list[Chunk]:
    return [chunk(content, number * PERIOD_S) for number, content in enumerate(contents)]


@pytest.mark.parametrize("size", [1, 3, 16, 17, 1000])
def test_raw_bursts_are_cut_whatever_the_reads_were(size):
    stream = b"".join(payloads())
    reads = [stream[start : start + size] for start in range(0, len(stream), size)]

    found = Ear().hear(*(chunk(content) for content in reads))

    assert found == payloads()


def test_a_block_is_cut_when_its_sixteenth_byte_is_there():
    ear = Ear()

    assert ear.hear(chunk(payloads()[0][:15])) == []
    assert ear.hear(chunk(payloads()[0][15:], 0.001)) == [payloads()[0]]


def test_a_burst_split_by_a_long_stall_is_still_whole():
    first = payloads()[0]

    assert Ear().hear(chunk(first[:7]), chunk(b"", 0.05), chunk(first[7:], 0.2)) == [first]


@pytest.mark.parametrize("lost", range(16))
def test_after_a_lost_byte_the_next_packet_is_whole_again(lost):
    sent = payloads()[:4]
    damaged = sent[1][:lost] + sent[1][lost + 1 :]

    found = Ear().hear(*bursts([sent[0], damaged, sent[2], sent[3]]))

    assert found == [sent[0], sent[2], sent[3]]


@pytest.mark.parametrize("lost", range(16))
def test_a_lost_byte_costs_one_packet_even_without_any_pause(lost):
    sent = payloads()
    damaged = [*sent[:5], sent[5][:lost] + sent[5][lost + 1 :], *sent[6:]]

    found = Ear().hear(chunk(b"".join(damaged)))

    assert [payload for payload in found if payload in sent] == [*sent[:5], *sent[6:]]


@given(st.binary(max_size=80), st.integers(1, 50))
def test_after_any_garbage_the_second_packet_is_whole(garbage, size):
    stream = garbage + b"".join(payloads()[:3])
    reads = [stream[start : start + size] for start in range(0, len(stream), size)]

    found = Ear().hear(*(chunk(content) for content in reads), chunk(b"", 1.0))

    assert found[-2:] == payloads()[1:3]


def test_a_boot_text_before_a_packet_costs_nothing():
    found = Ear().hear(chunk(BOOT_TEXT + payloads()[0]), chunk(payloads()[1], PERIOD_S))

    assert found == payloads()[:2]


@pytest.mark.parametrize(("byte", "name"), [(b"\x00", "zeros"), (b"\xff", "ones")])
def test_the_blocks_of_a_stuck_radio_are_counted_and_dropped(byte, name):
    ear = Ear()

    found = ear.hear(chunk(byte * 16), chunk(byte * 16, 0.1), chunk(payloads()[0], 0.2))

    assert found == [payloads()[0]]
    assert ear.framer.counts[name] == 2


def test_bursts_of_a_wrong_key_are_counted_as_undecryptable():
    ear = Ear("auto", OTHER_KEY)

    found = ear.hear(*bursts([*payloads()[:5], b""]))

    assert found == []
    assert ear.framer.counts["undecryptable"] == 5


def test_noise_is_hardly_ever_taken_for_a_packet():
    ear = Ear()
    noise = random.Random(1).randbytes(100_000)

    found = ear.hear(chunk(noise))

    assert len(found) < 40  # about 12 are expected by the limits of plausibility
    assert ear.framer.counts["skipped_bytes"] + 16 * len(found) > 99_900


def test_a_reopened_port_begins_a_new_stream():
    first = payloads()[0]

    found = Ear().hear(chunk(first[:9]), chunk(first, 0.01, opened=True))

    assert found == [first]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_lines_are_recognised_and_read_whatever_the_reads_were(size):
    stream = BOOT_TEXT + line(b"CW1 H 1 ok") + b"".join(map(payload_line, range(9), payloads()))
    reads = [stream[start : start + size] for start in range(0, len(stream), size)]

    found = Ear().hear(*(chunk(content) for content in reads))

    assert found == [StatusLine("H", ("1", "ok")), *payloads()[:9]]


def test_a_damaged_line_is_counted_and_the_next_one_read():
    ear = Ear()
    first, second, third = map(payload_line, range(3), payloads())

    found = ear.hear(chunk(first + second.replace(b"P", b"Q") + third))

    assert found == [payloads()[0], payloads()[2]]
    assert (ear.framer.counts["crc_errors"], ear.framer.counts["lost_on_cable"]) == (1, 1)


def test_a_line_that_lost_its_end_does_not_take_the_next_with_it():
    first, second = map(payload_line, range(2), payloads())

    assert Ear().hear(chunk(first[:20] + second)) == [payloads()[1]]


def test_text_between_lines_is_no_packet():
    ear = Ear()

    found = ear.hear(chunk(line(b"CW1 H 1 ok") + b"debug: C CW CW1\r\n" * 9 + b"CW"))
    found += ear.hear(chunk(payload_line(0, payloads()[0])[2:], 0.01))

    assert found == [StatusLine("H", ("1", "ok")), payloads()[0]]


def test_a_board_of_the_other_form_behind_the_same_connection_is_recognised():
    ear = Ear()
    sent = payloads()

    ear.hear(chunk(payload_line(0, sent[0])))
    found = ear.hear(*bursts(sent * 4)[1:])

    assert found[-3:] == sent[-3:]


FORGED = line(b"CW1 Z")  # 12 bytes with a right checksum, which the air may bring as any others
SHOTS = {
    "a line and four bytes": [FORGED + b"abcd"],
    "a line of exactly a burst": [line(b"CW1 Zabcd")],
    "a line without an end": [b"CW1 Z" + b"a" * 11],
    "a line whose end the next packet may begin with": [line(b"CW1 Zabcd")[:-1] + b" "],
    "the beginning of a line, again and again": [b"CW1 " * 4] * 7,
    "a P line in four bursts": [
        payload_line(10**6, b"x" * 16)[n : n + 16] for n in range(0, 64, 16)
    ],
}


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("shot", SHOTS)
def test_lines_that_a_raw_receiver_hears_on_the_air_cost_no_packet(shot, number):
    shots = [chunk(burst, number * PERIOD_S - 4 + n / 10) for n, burst in enumerate(SHOTS[shot])]
    sent = payloads()[3:9]  # of which the first proves nothing yet
    heard = bursts(sent)

    found = Ear().hear(*heard[:number], *shots, *heard[number:])

    assert [each for each in found if not isinstance(each, StatusLine)] == sent


@pytest.mark.parametrize("split", [1, 5, 16])
def test_a_packet_that_could_be_the_end_of_a_forged_line_is_not_taken_for_it(split):
    firmware = SensorFirmware(KEY, random.Random(1), 5_000_000, b"before")
    packet = next(p for p in iter(lambda: firmware.measure(500), b"") if p[:1] == b"\n")
    shot = chunk(line(b"CW1 Zabcd")[:-1], 0.0)

    found = Ear().hear(shot, chunk(packet[:split], 1.0), chunk(packet[split:], 1.001))

    assert found == [packet]


def test_no_line_is_read_once_a_raw_packet_was_proven():
    ear = Ear()
    ear.hear(*bursts(payloads()[:2]))

    assert ear.hear(chunk(FORGED, 12.0), chunk(b"", 13.0)) == []
    assert ear.hear(chunk(FORGED, 14.0, opened=True)) == [StatusLine("Z", ())]


def test_the_raw_form_can_be_demanded():
    assert Ear("raw").hear(chunk(payload_line(0, payloads()[0]))) == []


def test_the_line_form_can_be_demanded():
    assert Ear("lines").hear(chunk(b"".join(payloads()))) == []


@pytest.mark.parametrize(
    "body",
    [b"CW1 P", b"CW1 P x 1 00 1", b"CW1 P 1 1 zz 1", b"CW1 P 1 1 0011 1", b"CW1 Z new kind"],
)
def test_a_line_of_an_unknown_form_is_told_and_no_packet(body):
    kind, *fields = body.decode().split()[1:]
    assert Ear().hear(chunk(line(body))) == [StatusLine(kind, tuple(fields))]
