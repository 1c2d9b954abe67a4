"""Requests that the running bridge stores at once what waits, from this program or another."""

import fcntl
import os
import select
import stat
import struct
import termios
import time
from contextlib import suppress
from pathlib import Path

NAME = "database.flush"
ANSWERED_WITHIN_S = 2.0
LOOK_AGAIN_S = 0.02


class FlushRequests:
    """A FIFO in a folder, on which one thread waits; a byte in it is a request.

    A request is taken out only when it is fulfilled, so that who made it can see that.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        try:
            if not path.is_fifo():
                os.mkfifo(path, 0o600)
            self._ends: tuple[int, ...] = (os.open(path, os.O_RDWR | os.O_NONBLOCK),)
        except OSError:  # not every file system has them: then other programs cannot ask
            self._ends = os.pipe2(os.O_NONBLOCK)
        self._seen = 0

    def close(self) -> None:
        """Answer nobody any more."""
        for end in self._ends:
            os.close(end)

    def request(self) -> None:
        """Wake the thread that waits."""
        with suppress(BlockingIOError):  # then so many requests are there already
            os.write(self._ends[-1], b"!")

    def wait(self, timeout_s: float) -> bool:
        """Wait for a request; false when the time ran out first."""
        select.select(self._ends[:1], [], [], timeout_s)
        self._seen = waiting(self._ends[0])
        return self._seen > 0

    def answer(self) -> None:
        """Take out the requests that the last wait has seen."""
        if self._seen:
            os.read(self._ends[0], self._seen)
        self._seen = 0


def request_flush(folder: Path) -> None:
    """Have a bridge that runs on this folder store what waits, and wait a while for that."""
    try:
        fifo = os.open(folder / NAME, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # no bridge runs here
        return
    try:
        if stat.S_ISFIFO(os.fstat(fifo).st_mode):
            deadline_s = time.monotonic() + ANSWERED_WITHIN_S
            os.write(fifo, b"!")
            while waiting(fifo) and time.monotonic() < deadline_s:
                time.sleep(LOOK_AGAIN_S)
    finally:
        os.close(fifo)


def waiting(fifo: int) -> int:
    """How many bytes are in a FIFO."""
    (count,) = struct.unpack("i", fcntl.ioctl(fifo, termios.FIONREAD, bytes(4)))
    return int(count)
