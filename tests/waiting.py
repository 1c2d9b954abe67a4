"""Waiting where two threads or processes meet: for an event, never for time to pass."""

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")

BETWEEN_LOOKS_S = 0.01


def wait_until(condition: Callable[[], Answer], timeout_s: float = 10.0) -> Answer:
    """Look again and again until `condition` gives something true, and return what it gave.

    Raises `AssertionError` when it did not within `timeout_s`.
    """
    deadline_s = time.monotonic() + timeout_s
    while not (answer := condition()):
        assert time.monotonic() < deadline_s, f"not within {timeout_s:g} s; at last: {answer!r}"
        time.sleep(BETWEEN_LOOKS_S)
    return answer
