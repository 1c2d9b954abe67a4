import ctypes
import time
from pathlib import Path

import pytest

from cw_mqtt.runtime import clock
from cw_mqtt.runtime.clock import Clocks, boot_id, is_synchronised, steady_s


class Kernel:
    """Answers as adjtimex does: the state of the clock, or -1 where it may not be asked."""

    def __init__(self, state: int) -> None:
        self._state = state

    def adjtimex(self, asked: ctypes.Array[ctypes.c_char]) -> int:
        assert not any(asked.raw), "it would change the clock"
        return self._state


@pytest.mark.parametrize(
    ("state", "synchronised"), [(0, True), (1, True), (4, True), (5, False), (-1, False)]
)
def test_the_kernel_says_whether_the_clock_is_synchronised(
    state: int, synchronised: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "LIBC", Kernel(state))

    assert is_synchronised() is synchronised


def test_another_system_has_no_such_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "LIBC", object())

    assert is_synchronised() is False


def test_the_real_kernel_can_be_asked() -> None:
    assert is_synchronised() in (True, False)


def test_the_steady_clock_goes_on() -> None:
    before = steady_s()

    assert steady_s() >= before >= time.monotonic() - 1


def test_a_run_of_the_computer_has_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Clocks().boot == Clocks().boot == boot_id()

    monkeypatch.setattr(clock, "BOOT_ID", Path("/nonexistent"))
    assert boot_id() != boot_id()
