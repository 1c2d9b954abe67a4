"""A capture replayed in the place of a receiver."""

import time
from pathlib import Path

from cw_mqtt.acquire.replay import ReplayReceiver
from cw_mqtt.errors import UsageError
from tests.acquire.conftest import Serving
from tests.waiting import wait_until

HEADER = '{"cwcap": 1, "receiver": "hall", "started": "2026-11-22T22:33:15.250+00:00"}\n'


def start(serving: Serving, path: Path, lines: str) -> None:
    path.write_text(HEADER + lines)
    serving.start(ReplayReceiver("again", path, serving.chunks.append, serving.health))


def test_every_chunk_is_heard_again_and_the_end_is_told(serving: Serving, tmp_path: Path) -> None:
    start(serving, tmp_path / "hall.cwcap", "3.000 open 0a0b\n3.050 -\n3.060 0c\n")

    wait_until(lambda: serving.figure("again", "replay") == "finished")

    assert serving.contents == [b"\x0a\x0b", b"", b"\x0c"]
    assert [chunk.opened for chunk in serving.chunks] == [True, False, False]
    assert serving.error is None


def test_chunks_come_at_their_pace_as_if_heard_now(serving: Serving, tmp_path: Path) -> None:
    before_ts = time.time()
    start(serving, tmp_path / "hall.cwcap", "5.000 0a\n5.150 0b\n")

    wait_until(lambda: len(serving.chunks) == 2)

    first, second = serving.chunks
    assert first.receiver == "again"
    assert before_ts <= first.heard_ts <= time.time() - 0.14
    assert second.monotonic_s - first.monotonic_s > 0.14


def test_a_replay_ends_when_asked_in_the_middle_of_a_pause(
    serving: Serving, tmp_path: Path
) -> None:
    start(serving, tmp_path / "hall.cwcap", "0.000 0a\n3600.000 0b\n")
    wait_until(lambda: serving.chunks)

    serving.stop()

    assert serving.contents == [b"\x0a"]


def test_nothing_of_a_damaged_capture_is_replayed(serving: Serving, tmp_path: Path) -> None:
    start(serving, tmp_path / "hall.cwcap", "0.000 0a\nrubbish\n")

    assert isinstance(serving.error, UsageError)
    assert serving.chunks == []
