"""Serial ports and what pyserial makes look like one: devices, `socket://`, `rfc2217://`."""

import errno
import io
import re

import serial

from cw_mqtt.acquire.line import DescriptorLine, Line
from cw_mqtt.errors import ResourceAwayError
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
