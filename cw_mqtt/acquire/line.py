"""Lines: where a receiver's bytes come from, whatever they are made of."""

import os
import select
from collections.abc import Callable
from typing import Protocol

from cw_mqtt.errors import ResourceAwayError

MOST_AT_ONCE = 4096


class Line(Protocol):
    """An open line of bytes that come in; nothing is ever sent on it."""

    def read(self, timeout_s: float) -> bytes:
        """What has come, as soon as there is any; empty when nothing came within `timeout_s`.

        Raises `ResourceAwayError` when the line is gone.
        """

    def close(self) -> None:
        """Let the line go; it is not read again."""


class DescriptorLine:
    """A line that the system gives as a file descriptor: a tty, a TCP connection, a named pipe.

    `port` is its name for people; `close` closes the descriptor.
    """

    def __init__(self, descriptor: int, port: str, close: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._port = port
        self._close = close
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def read(self, timeout_s: float) -> bytes:
        """See `Line.read`."""
        if not self._poll.poll(timeout_s * 1000):
            return b""
        try:
            content = os.read(self._descriptor, MOST_AT_ONCE)
        except OSError as error:
            raise self._away(str(error.strerror)) from error
        if not content:
            raise self._away("end of the line")
        return content

    def close(self) -> None:
        """See `Line.close`."""
        self._close()

    def _away(self, reason: str) -> ResourceAwayError:
        return ResourceAwayError(
            f"{self._port} hung up ({reason}): unplugged, closed by the other side, "
            "or read by another program too"
        )
