"""What holds whatever bytes come: in step again soon, nothing raised, nothing accepted, bounded."""

import gc
import logging
import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cw_mqtt.model import BLOCK_SIZE, Chunk
from cw_mqtt.simulate.firmware import SensorFirmware, receiver_line
from tests.amounts import amount
from tests.packets import KEY, START_TS
from tests.simulation.house import Listener

PERIOD_S = 8.192
GOOD_BEFORE, GOOD_AFTER = 4, 3
GARBAGE_BYTES = amount(4_000, torture=20_000)
MOST_GROWTH_BYTES = 10_000
MOST_HELD = 8

position = st.integers(0, BLOCK_SIZE - 1)
edit = st.one_of(
    st.tuples(st.just("delete"), position, st.integers(1, BLOCK_SIZE)),
    st.tuples(st.just("insert"), st.integers(0, BLOCK_SIZE), st.binary(min_size=1, max_size=40)),
    st.tuples(st.just("replace"), position, st.binary(min_size=1, max_size=1)),
)
piece = st.one_of(
    st.binary(max_size=64),
    st.sampled_from([b"CW1 ", b"CW1 P 1 1 ", b"\n", b"*0000\n", bytes(16), b"\xff" * 16, b"C"]),
    st.just(receiver_line(7, bytes(16))[:-2]),
)
pause_s = st.sampled_from([0.0, 0.001, 0.016, 0.044, 0.05, 1.0, 700.0])


@contextmanager
def listening() -> Iterator[Listener]:
    """A bridge of one sensor, for one example."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        listener = Listener(Path(folder))
        try:
            yield listener
        finally:
            listener.close()
            logging.disable(logging.NOTSET)


def bursts(count: int) -> list[bytes]:
    """The next packets of a sensor that has been running; their powers are 1, 2, 3 ..."""
    firmware = SensorFirmware(KEY, Random(1), timer_ms=5_000_000, tail=b"before")
    return [firmware.measure(power_w) for power_w in range(1, count + 1)]


def chunk(content: bytes, at_s: float, *, opened: bool = False) -> Chunk:
    return Chunk("hall", START_TS + at_s, START_TS + at_s, content, opened)


def edited(burst: bytes, edit: tuple[str, int, int | bytes]) -> bytes:
    kind, at, what = edit
    if isinstance(what, int):
        return burst[:at] + burst[at + what :]
    return burst[:at] + what + burst[at + (kind == "replace") :]


def accepted_w(listener: Listener) -> list[int]:
    return [int(reading.power_w) for reading in listener.counting()]


@given(edit, st.lists(st.integers(1, 60), max_size=4), st.booleans())
def test_the_good_packets_around_a_damaged_one_are_accepted(edit, cuts, merged):
    sent = bursts(GOOD_BEFORE + 1 + GOOD_AFTER)
    contents = [*sent[:GOOD_BEFORE], edited(sent[GOOD_BEFORE], edit), *sent[GOOD_BEFORE + 1 :]]
    if merged:
        contents[GOOD_BEFORE : GOOD_BEFORE + 2] = [b"", contents[GOOD_BEFORE] + sent[-GOOD_AFTER]]

    with listening() as listener:
        for number, content in enumerate(contents):
            for at, part in enumerate(split(content, sorted(cuts))):
                listener.read([chunk(part, number * PERIOD_S + at * 0.016)])
        accepted = accepted_w(listener)

    damaged = GOOD_BEFORE + 1
    good = [power_w for power_w in range(1, len(sent) + 1) if power_w != damaged]
    assert [power_w for power_w in accepted if power_w != damaged] == good


def split(content: bytes, cuts: list[int]) -> list[bytes]:
    """The content in pieces, cut at some places."""
    places = [0, *cuts, len(content)]
    return [content[a:b] for a, b in pairwise(places) if content[a:b]]


@given(st.lists(st.tuples(piece, pause_s, st.booleans()), max_size=30))
def test_arbitrary_bytes_raise_nothing_and_make_no_measure(garbage):
    at_s = 0.0

    with listening() as listener:
        for content, pause, opened in garbage:
            at_s += pause
            listener.read([chunk(content, at_s, opened=opened)])

        assert listener.readings() == []


@given(st.lists(st.tuples(piece, st.floats(0, 0.5), st.booleans()), max_size=12))
def test_arbitrary_bytes_between_two_packets_cost_none(garbage):
    before, *after = bursts(6)
    at_s = 1.0

    with listening() as listener:
        listener.read([chunk(before, 0.0)])
        for content, pause, opened in garbage:
            at_s += pause
            listener.read([chunk(content, at_s, opened=opened)])
        listener.read(chunk(burst, n * PERIOD_S) for n, burst in enumerate(after, 1))
        accepted = accepted_w(listener)

    assert accepted == [1, 2, 3, 4, 5, 6]


def flood(kind: str, random: Random) -> bytes:
    """Bytes of a kind that might pile up somewhere."""
    block = {
        "noise": random.randbytes(64),
        "zeros": bytes(64),
        "half a line": b"CW1 P 1 1 ",
        "a line without an end": b"CW1 " + b"x" * 60,
        "text": b"debug: hello\r\n",
        "one packet": bursts(1)[0],
        "a packet without a byte": bursts(1)[0][1:],
    }
    return block[kind]


@pytest.mark.parametrize("pause", [0.0, 0.1])
@pytest.mark.parametrize(
    "kind",
    [
        "noise",
        "zeros",
        "half a line",
        "a line without an end",
        "text",
        "one packet",
        "a packet without a byte",
    ],
)
def test_memory_is_bounded_whatever_is_sent(kind, pause):
    random, sent_bytes, kept_bytes = Random(1), 0, []

    with listening() as listener:
        tracemalloc.start()
        for number in range(2):
            while sent_bytes < (number + 1) * GARBAGE_BYTES:
                at_s = sent_bytes * (0.0002 + pause / 16)
                parts = [chunk(flood(kind, random), at_s + pause * n) for n in range(16)]
                listener.read(parts)
                sent_bytes += sum(len(part.content) for part in parts)
            gc.collect()
            kept_bytes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()

        assert kept_bytes[1] - kept_bytes[0] < MOST_GROWTH_BYTES
        assert len(listener.held()) <= MOST_HELD


def test_held_packets_stay_few_whatever_a_holder_of_the_key_sends():
    random, count = Random(1), 500
    strangers = [SensorFirmware(KEY, random, n, random.randbytes(6)) for n in range(count)]

    with listening() as listener:
        listener.read(chunk(s.measure(1), n / 10) for n, s in enumerate(strangers))

        assert 0 < len(listener.held()) <= MOST_HELD
        assert listener.counting() == []
