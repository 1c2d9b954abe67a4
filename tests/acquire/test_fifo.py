"""Named pipes, real ones."""

import stat
from functools import partial
from pathlib import Path

import pytest

from cw_mqtt.acquire.receiver import Receiver
from cw_mqtt.acquire.serial_port import open_fifo
from cw_mqtt.errors import ResourceAwayError
from tests.acquire.conftest import Serving
from tests.waiting import wait_until

FRAME = bytes.fromhex("4e8c318a0979728c76971ccc6db512d7")
NEXT_FRAME = bytes.fromhex("bf5a1651f804b62175b81f23891d1886")


def start(serving: Serving, path: Path, quiet_s: float = 600.0) -> None:
    open_line = partial(open_fifo, path)
    append, health = serving.chunks.append, serving.health
    serving.start(Receiver("old", open_line, append, health, quiet_s))


def test_a_missing_pipe_is_made_for_its_owner_and_group_alone(
    serving: Serving, tmp_path: Path
) -> None:
    start(serving, tmp_path / "sensor")

    mode = (tmp_path / "sensor").stat().st_mode

    assert stat.S_ISFIFO(mode)
    assert mode & 0o007 == 0


def test_a_pipe_outlives_the_programs_that_write_to_it(serving: Serving, tmp_path: Path) -> None:
    start(serving, tmp_path / "sensor")

    (tmp_path / "sensor").write_bytes(FRAME)
    wait_until(lambda: serving.contents == [FRAME, b""])
    (tmp_path / "sensor").write_bytes(NEXT_FRAME)

    wait_until(lambda: serving.contents == [FRAME, b"", NEXT_FRAME, b""])


@pytest.mark.usefixtures("caplog")
def test_a_pipe_that_was_made_anew_is_found(serving: Serving, tmp_path: Path) -> None:
    start(serving, tmp_path / "sensor", quiet_s=0.1)

    (tmp_path / "sensor").unlink()
    wait_until(lambda: (tmp_path / "sensor").is_fifo())
    (tmp_path / "sensor").write_bytes(FRAME)

    wait_until(lambda: FRAME in serving.contents)


def test_a_pipe_without_a_writer_is_read_until_the_end_is_asked(
    serving: Serving, tmp_path: Path
) -> None:
    start(serving, tmp_path / "sensor")

    serving.stop()

    assert serving.error is None


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("file", "is no named pipe"),
        ("folder", "is no named pipe"),
        ("missing/sensor", "No such file or directory"),
        ("file/sensor", "Not a directory"),
    ],
)
def test_what_cannot_be_a_pipe_is_away_with_a_reason(
    tmp_path: Path, path: str, reason: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()

    with pytest.raises(ResourceAwayError, match=reason):
        open_fifo(tmp_path / path)
