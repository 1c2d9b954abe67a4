"""Captures: written, read, damaged."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cw_mqtt.acquire.capture import CaptureWriter, read_capture
from cw_mqtt.errors import ResourceAwayError, UsageError
from cw_mqtt.model import Chunk

STARTED_TS = 1795386795.25
FRAME = bytes.fromhex("4e8c318a0979728c76971ccc6db512d7")
CHUNKS = [
    Chunk("hall", STARTED_TS, 0.0, FRAME, opened=True),
    Chunk("hall", STARTED_TS + 0.046, 0.046, b""),
    Chunk("hall", STARTED_TS + 8.922, 8.922, b"\x0a\xff"),
]
TEXT = """\
{"cwcap": 1, "receiver": "hall", "started": "2026-11-22T22:33:15.250+00:00"}
0.000 open 4e8c318a0979728c76971ccc6db512d7
0.046 -
8.922 0aff
"""
HEADER = TEXT.splitlines()[0]


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Within, no file grows beyond `size` bytes: a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_capture_is_text_that_people_can_read(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path / "hall.cwcap", "hall", STARTED_TS, 0.0) as writer:
        for chunk in CHUNKS:
            writer.write(chunk)

    assert (tmp_path / "hall.cwcap").read_text() == TEXT


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", "\r\n")], ids=["LF", "CRLF"])
def test_a_capture_is_read_as_it_was_heard(tmp_path: Path, text: str) -> None:
    (tmp_path / "hall.cwcap").write_bytes(text.encode())

    assert list(read_capture(tmp_path / "hall.cwcap")) == CHUNKS


def test_times_are_counted_from_the_start_of_the_monotonic_clock(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path / "hall.cwcap", "hall", STARTED_TS, 1000.0) as writer:
        writer.write(Chunk("hall", 0.0, 1008.922, FRAME))  # the wall clock stepped back

    (chunk,) = read_capture(tmp_path / "hall.cwcap")

    assert (chunk.monotonic_s, chunk.heard_ts) == (8.922, STARTED_TS + 8.922)


def test_a_chunk_is_in_the_file_as_soon_as_it_is_written(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path / "hall.cwcap", "hall", STARTED_TS, 0.0) as writer:
        writer.write(CHUNKS[0])

        assert list(read_capture(tmp_path / "hall.cwcap")) == CHUNKS[:1]


@pytest.mark.parametrize("lost", range(1, len("8.922 0aff\n")))
def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path, lost: int) -> None:
    (tmp_path / "hall.cwcap").write_text(TEXT[:-lost])

    assert list(read_capture(tmp_path / "hall.cwcap")) == CHUNKS[:2]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "hello",
        "1.000",
        "1.000 0a0",
        "1.0 0a",
        "nan 0a",
        "-1.000 0a",
        "1.000 opened 0a",
        "1.000 é",
    ],
)
def test_a_damaged_line_is_told_with_its_number(tmp_path: Path, line: str) -> None:
    (tmp_path / "hall.cwcap").write_text(f"{HEADER}\n0.000 0a\n{line}\n2.000 0b\n")

    with pytest.raises(UsageError, match=r"hall.cwcap:3: expected seconds"):
        list(read_capture(tmp_path / "hall.cwcap"))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "0.000 0a",
        "[]",
        "{}",
        '{"cwcap": 1, "receiver": "hall", "started": 5}',
        "\x80",
        "[" * 99_999,
    ],
)
def test_a_file_without_a_header_is_no_capture(tmp_path: Path, header: str) -> None:
    (tmp_path / "hall.cwcap").write_text(f"{header}\n0.000 0a\n", encoding="latin-1")

    with pytest.raises(UsageError, match=r"hall.cwcap:1: expected the header"):
        list(read_capture(tmp_path / "hall.cwcap"))


def test_a_capture_of_a_later_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hall.cwcap").write_text(TEXT.replace('"cwcap": 1', '"cwcap": 2'))

    with pytest.raises(UsageError, match="form 2"):
        list(read_capture(tmp_path / "hall.cwcap"))


def test_a_missing_capture_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        list(read_capture(tmp_path / "hall.cwcap"))


def test_a_capture_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "hall.cwcap").write_text(TEXT)

    with pytest.raises(UsageError, match="File exists"):
        CaptureWriter(tmp_path / "hall.cwcap", "hall", STARTED_TS, 0.0)

    assert (tmp_path / "hall.cwcap").read_text() == TEXT


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path / "hall.cwcap", "hall", STARTED_TS, 0.0)

    with (
        writer,
        files_limited_to(len(HEADER) + 1),
        pytest.raises(ResourceAwayError, match="File too large"),
    ):
        writer.write(CHUNKS[0])

    assert list(read_capture(tmp_path / "hall.cwcap")) == []
