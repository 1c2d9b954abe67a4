from cw_mqtt.dating import MOST_WAITING, PATIENCE_S, RELEASE_TS, Dating
from cw_mqtt.model import Chunk


class Clocks:
    """A wall clock that can be wrong, and a monotonic one."""

    def __init__(self, wall_ts):
        self.wall_ts = wall_ts
        self.monotonic_s = 50.0

    def pass_s(self, seconds):
        self.wall_ts += seconds
        self.monotonic_s += seconds

    def dating(self, newest_ts=0.0):
        return Dating(newest_ts, lambda: self.wall_ts, lambda: self.monotonic_s)

    def chunk(self, content=b"x"):
        return Chunk("hall", self.wall_ts, self.monotonic_s, content)


def test_with_a_right_clock_a_chunk_passes_unchanged():
    clocks = Clocks(RELEASE_TS + 1)

    assert list(clocks.dating().dated([clocks.chunk()])) == [clocks.chunk()]


def test_chunks_of_before_the_clock_was_set_are_dated_backwards(caplog):
    clocks = Clocks(1000.0)
    dating = clocks.dating()
    assert list(dating.dated([clocks.chunk(b"1")])) == []
    clocks.pass_s(8)
    assert list(dating.dated([clocks.chunk(b"2")])) == []

    clocks.pass_s(2)
    clocks.wall_ts = RELEASE_TS + 100
    chunks = list(dating.dated([clocks.chunk(b"3")]))

    assert [(chunk.content, chunk.heard_ts - RELEASE_TS) for chunk in chunks] == [
        (b"1", 90),
        (b"2", 98),
        (b"3", 100),
    ]
    assert caplog.text.count("not right yet") == 1


def test_a_clock_behind_the_newest_reading_is_not_believed_at_once(caplog):
    clocks = Clocks(RELEASE_TS + 1000)
    dating = clocks.dating(newest_ts=RELEASE_TS + 5000)
    assert list(dating.dated([clocks.chunk()])) == []

    clocks.pass_s(PATIENCE_S + 1)

    assert len(list(dating.dated([clocks.chunk()]))) == 2
    assert "behind the newest reading" in caplog.text


def test_once_right_a_clock_set_back_is_followed():
    clocks = Clocks(RELEASE_TS + 5000)
    dating = clocks.dating(newest_ts=RELEASE_TS + 4000)
    list(dating.dated([clocks.chunk()]))

    clocks.wall_ts -= 3600

    assert list(dating.dated([clocks.chunk()])) == [clocks.chunk()]


def test_what_waits_is_bounded(caplog):
    clocks = Clocks(1000.0)
    dating = clocks.dating()
    list(dating.dated(clocks.chunk() for _ in range(MOST_WAITING + 5)))

    clocks.wall_ts = RELEASE_TS

    assert len(list(dating.dated([clocks.chunk()]))) == MOST_WAITING + 1
