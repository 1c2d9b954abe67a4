import threading

from cw_mqtt.bridge import chunks
from cw_mqtt.bridge.chunks import ChunkQueue
from cw_mqtt.model import Chunk


def chunk(size):
    return Chunk("hall", 0.0, 0.0, bytes(size))


def test_what_waits_is_taken_together(monkeypatch):
    waiting = ChunkQueue()
    waiting.put(chunk(1))
    waiting.put(chunk(2))
    monkeypatch.setattr(chunks, "IDLE_S", 0.0)

    assert waiting.take(threading.Event()) == [chunk(1), chunk(2)]
    assert waiting.take(threading.Event()) == []


def test_one_commit_takes_a_few_kilobytes():
    waiting = ChunkQueue()
    for _ in range(9):
        waiting.put(chunk(1024))

    taken = waiting.take(threading.Event())

    assert (len(taken), len(waiting)) == (4, 5)


def test_what_is_left_is_taken_when_stopping():
    waiting = ChunkQueue()
    waiting.put(chunk(1))
    stopping = threading.Event()
    stopping.set()

    assert waiting.take(stopping) == [chunk(1)]
    assert waiting.take(stopping) is None


def test_a_chunk_for_which_no_room_comes_is_not_taken(monkeypatch):
    monkeypatch.setattr(chunks, "MOST_WAITING", 1)
    monkeypatch.setattr(chunks, "FULL_WAIT_S", 0.0)
    waiting = ChunkQueue()

    assert waiting.put(chunk(1))
    assert not waiting.put(chunk(2))
