"""Listening to a line."""

import logging
import time
from functools import partial

import pytest

from cw_mqtt.acquire.receiver import Receiver
from cw_mqtt.acquire.serial_port import open_serial
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.runtime.stages import Stage
from tests.acquire.conftest import Board, Serving
from tests.waiting import DEADLINE_S, wait_until

FRAME = bytes.fromhex("4e8c318a0979728c76971ccc6db512d7")
NEXT_FRAME = bytes.fromhex("bf5a1651f804b62175b81f23891d1886")


class SilentLine:
    def read(self, timeout_s: float) -> bytes:
        return b""

    def close(self) -> None:
        pass


def start(serving: Serving, port: str, quiet_s: float = 600.0) -> None:
    open_line = partial(open_serial, port, 57600)
    serving.start(
        Receiver("hall", open_line, serving.chunks.append, serving.health, quiet_s=quiet_s)
    )


def test_a_silence_after_bytes_is_told_once(serving: Serving, board: Board) -> None:
    start(serving, board.port)

    board.send(FRAME)
    wait_until(lambda: serving.contents == [FRAME, b""])
    board.send(NEXT_FRAME)

    wait_until(lambda: serving.contents == [FRAME, b"", NEXT_FRAME, b""])


@pytest.mark.usefixtures("caplog")
def test_a_silence_before_the_first_byte_is_not_told(serving: Serving) -> None:
    serving.start(Receiver("hall", SilentLine, serving.chunks.append, serving.health, quiet_s=0.05))

    wait_until(lambda: serving.figure("hall", "reopened"))

    assert serving.chunks == []


def test_only_the_first_chunk_after_opening_says_opened(serving: Serving, board: Board) -> None:
    start(serving, board.port)

    board.send(FRAME)
    wait_until(lambda: len(serving.chunks) == 2)

    assert [chunk.opened for chunk in serving.chunks] == [True, False]


def test_a_chunk_says_who_heard_it_and_when(serving: Serving, board: Board) -> None:
    start(serving, board.port)

    before_ts, before_s = time.time(), time.monotonic()
    board.send(FRAME)
    chunk = wait_until(lambda: serving.chunks)[0]

    assert chunk.receiver == "hall"
    assert before_ts <= chunk.heard_ts <= time.time()
    assert before_s <= chunk.monotonic_s <= time.monotonic()


def test_bytes_are_counted(serving: Serving, board: Board) -> None:
    start(serving, board.port)

    board.send(FRAME)
    board.send(NEXT_FRAME[:5])

    wait_until(lambda: serving.figure("hall", "bytes") == 21)


def test_a_deaf_board_is_opened_again_until_it_is_heard(
    serving: Serving, board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    start(serving, board.port, quiet_s=0.1)

    wait_until(lambda: serving.figure("hall", "reopened") == 2)
    board.send(FRAME)
    wait_until(lambda: serving.chunks)

    assert serving.chunks[0].opened
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert ["opening its port again" in text for text in warnings[:2]] == [True, False]
    assert "is heard again" in warnings[1]


def test_a_port_that_opens_and_closes_at_once_never_works_and_is_told_once(
    serving: Serving, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ClosedLine(SilentLine):
        def read(self, timeout_s: float) -> bytes:
            raise ResourceAwayError("hung up")

    monkeypatch.setattr(Receiver, "longest_pause_s", 0.01)
    stage = Stage(
        Receiver("hall", ClosedLine, serving.chunks.append, serving.health), serving.health
    )
    stage.start()

    wait_until(lambda: serving.health.stages()["receiver hall"].faults >= 20)
    stage.ask_to_stop()

    assert stage.join(DEADLINE_S)
    assert [record.getMessage() for record in caplog.records] == ["receiver hall: hung up"]


@pytest.mark.usefixtures("caplog")
def test_a_board_that_writes_zeros_is_opened_again_like_a_silent_one(
    serving: Serving, board: Board
) -> None:
    open_line = partial(open_serial, board.port, 57600)
    arguments = (serving.chunks.append, serving.health, 0.1, lambda: 0.0)
    serving.start(Receiver("hall", open_line, *arguments))

    def reopened() -> bool:
        board.send(bytes(16))
        return serving.figure("hall", "reopened") == 2

    wait_until(reopened)

    assert any(serving.contents)


def test_patience_with_a_quiet_line_doubles_up_to_six_times(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    serving.start(Receiver("hall", SilentLine, serving.chunks.append, serving.health, quiet_s=0.01))

    wait_until(lambda: serving.figure("hall", "reopened") in range(5, 1000))
    serving.stop()

    patience_s = [record.args[1] for record in caplog.records if isinstance(record.args, tuple)]
    assert patience_s[:5] == [0.01, 0.02, 0.04, 0.06, 0.06]


def test_a_receiver_on_a_silent_line_ends_when_asked(serving: Serving, board: Board) -> None:
    start(serving, board.port)

    serving.stop()

    assert serving.error is None
