"""This computer's clocks: what time it is, whether that is right, and how much time has passed."""

import ctypes
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

LIBC = ctypes.CDLL(None)
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
TIMEX_BYTES = 256  # more than `struct timex` has on any machine; zeros only ask
TIME_ERROR = 5  # adjtimex(2): "the system clock is not synchronized"; less is synchronised


def steady_s() -> float:
    """Seconds since the computer was started: never set, and it counts while suspended, too."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def is_synchronised() -> bool:
    """Whether the kernel says that something like NTP keeps the clock right.

    False also where it cannot be asked: in some containers, and on other systems than Linux.
    """
    try:
        state: int = LIBC.adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    except AttributeError:
        return False
    return 0 <= state < TIME_ERROR


def boot_id() -> str:
    """Tells the runs of this computer apart; where it has no name for them, every call does."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks to go by: `wall` in seconds since the epoch, `steady` since the start `boot`."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = steady_s
    is_synchronised: Callable[[], bool] = is_synchronised
    boot: str = field(default_factory=boot_id)
