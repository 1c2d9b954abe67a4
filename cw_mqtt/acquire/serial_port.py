"""Serial ports and what pyserial makes look like one: devices, `socket://`, `rfc2217://`."""

import errno
import io
import os
import re
import select
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

import serial

from cw_mqtt.errors import ResourceAwayError, with_remedy
from cw_mqtt.model import SILENCE_S

UNPLUGGED = "is not there: unplugged? See `ls /dev/serial/by-id`"
IN_USE = "is in use by another program, which holds its lock; stop that one"
REASONS = {
    errno.ENOENT: UNPLUGGED,
    errno.ENXIO: UNPLUGGED,
    errno.ENODEV: UNPLUGGED,
    errno.EIO: UNPLUGGED,
    errno.EACCES: "may not be opened by this user; add the user to the group dialout",
    errno.EPERM: "may not be opened by this user; add the user to the group dialout",
    errno.EISDIR: "is a directory; name the device in it",
    errno.ENOTTY: "is no serial port",
    errno.EAGAIN: IN_USE,
    errno.EBUSY: IN_USE,
    errno.ECONNREFUSED: "refuses the connection: is the program at the other side running?",
}


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


def open_serial(port: str, baudrate: int) -> Line:
    """Open a device or a pyserial URL, for this program alone; opening resets the board.

    Raises `ResourceAwayError` with the reason and what to do about it, without credentials.
    """
    try:
        opened = serial.serial_for_url(port, baudrate, timeout=SILENCE_S, exclusive=True)
    except serial.SerialException as error:
        raise ResourceAwayError(f"{shown_port(port)} {why_away(error)}") from error
    try:
        descriptor = opened.fileno()
    except io.UnsupportedOperation:
        return PolledLine(opened, shown_port(port))
    return DescriptorLine(descriptor, shown_port(port), opened.close)


def shown_port(port: str) -> str:
    """A port as it may be shown: without a name and password in its URL."""
    return re.sub(r"://.*@", "://", port)


def why_away(error: serial.SerialException) -> str:
    """Why a port cannot be opened, in words; pyserial hides the system's error in its own."""
    cause = error if error.errno else error.__context__ or error
    number, text = (cause.args or ("",))[0], (cause.args or ("",))[-1]
    return REASONS.get(number, f"cannot be opened: {text}")


class PolledLine:
    """A line that pyserial reads in a thread of its own, such as `rfc2217://`.

    Its timeout is fixed: to change it would send the port's settings over the network again.
    """

    def __init__(self, opened: serial.Serial, port: str) -> None:
        self._opened = opened
        self._port = port

    def read(self, timeout_s: float) -> bytes:
        """See `Line.read`; waits for `SILENCE_S` at most, whatever `timeout_s` says."""
        try:
            first = self._opened.read(1)
            return first + self._opened.read(self._opened.in_waiting) if first else b""
        except serial.SerialException as error:
            raise ResourceAwayError(f"{self._port} is gone: {error}") from error

    def close(self) -> None:
        """See `Line.close`."""
        self._opened.close()


MOST_AT_ONCE = 4096


READ_AND_WRITE_BY_GROUP = 0o660


def open_fifo(path: Path) -> Line:
    """Open a named pipe, and make it first if nothing is there.

    It is opened for writing too, so that it does not end when its writer does.
    Raises `ResourceAwayError` when something else is there, or the folder refuses.
    """
    try:
        with suppress(FileExistsError):
            os.mkfifo(path, READ_AND_WRITE_BY_GROUP)
            path.chmod(READ_AND_WRITE_BY_GROUP)  # whatever the umask has left of it
        if not stat.S_ISFIFO(path.stat().st_mode):
            raise ResourceAwayError(
                f"{path} is there, but is no named pipe: move it away, or name another path"
            )
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        raise ResourceAwayError(
            f"cannot open the pipe {path}: {with_remedy(str(error.strerror))}"
        ) from error
    return DescriptorLine(descriptor, str(path), partial(os.close, descriptor))
