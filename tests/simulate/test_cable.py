"""The simulated cable: each fault does to the bytes what it says."""

from collections import Counter
from random import Random

import pytest

from cw_mqtt.model import SILENCE_S
from cw_mqtt.simulate.firmware import receiver_line
from tests.simulate.air import Signal
from tests.simulate.cable import BOOT_TEXT, Cable, Fault, spoil

PAYLOAD = bytes(range(100, 116))


def pieces(fault, seed=1):
    return [content for _, content in spoil(PAYLOAD, fault, Random(seed))]


@pytest.mark.parametrize("seed", range(20))
def test_a_lost_byte_is_missing_and_the_others_are_there(seed):
    (content,) = pieces(Fault.LOST_BYTE, seed)

    assert len(content) == 15
    assert Counter(content) <= Counter(PAYLOAD)


@pytest.mark.parametrize("seed", range(20))
def test_an_inserted_byte_is_among_the_others(seed):
    (content,) = pieces(Fault.INSERTED_BYTE, seed)

    assert len(content) == 17
    assert Counter(PAYLOAD) <= Counter(content)
    assert (content[0], content[-1]) == (PAYLOAD[0], PAYLOAD[-1])


def test_a_split_burst_comes_in_two_pieces_soon_after_each_other():
    (first_s, first), (second_s, second) = spoil(PAYLOAD, Fault.SPLIT, Random(1))

    assert first + second == PAYLOAD
    assert 0 < second_s - first_s < SILENCE_S


def test_noise_comes_after_a_burst_and_a_silence():
    (_, first), (noise_s, noise) = spoil(PAYLOAD, Fault.NOISE, Random(1))

    assert first == PAYLOAD
    assert noise_s > SILENCE_S
    assert noise


def test_a_boot_text_comes_right_before_a_burst():
    assert pieces(Fault.BOOT_TEXT) == [BOOT_TEXT + PAYLOAD]


def test_a_burst_is_read_with_the_silence_behind_it():
    ((signal, chunks),) = Cable("hall", Random(1)).carry([Signal(100.0, PAYLOAD)])

    assert not signal.lost
    assert [(c.heard_ts, c.content) for c in chunks] == [(100.0, PAYLOAD), (100 + SILENCE_S, b"")]


def test_our_receiver_writes_numbered_lines():
    carried = Cable("hall", Random(1), lines=True).carry([Signal(100.0, PAYLOAD)] * 2)

    contents = [chunks[0].content for _, chunks in carried]
    assert contents == [receiver_line(0, PAYLOAD), receiver_line(1, PAYLOAD)]


def test_a_signal_that_is_lost_is_not_read():
    ((signal, chunks),) = Cable("hall", Random(1)).carry([Signal(100.0, PAYLOAD, lost=True)])

    assert signal.lost
    assert chunks == []


def test_a_spoiled_packet_is_known_to_be_lost():
    carried = list(Cable("hall", Random(1), share=1.0).carry([Signal(100.0, PAYLOAD)] * 200))

    readable = [PAYLOAD in b"".join(chunk.content for chunk in chunks) for _, chunks in carried]
    assert [not signal.lost for signal, _ in carried] == readable
    assert 90 < sum(readable) < 150
