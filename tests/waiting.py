"""Waiting where two threads or processes meet: for an event, never for time to pass."""

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")

# What the slowest machine may take at its busiest; never the measure of a test.
DEADLINE_S = 120.0
BETWEEN_LOOKS_S = 0.01


def wait_until(
    condition: Callable[[], Answer], *, progress: Callable[[], object] = lambda: None
) -> Answer:
    """Look again and again until `condition` gives something true, and return what it gave.

    Raises `AssertionError` when nothing came of it for `DEADLINE_S`, in which what `progress`
    gives did not change either.
    """
    before, changed_s = progress(), time.monotonic()
    while not (answer := condition()):
        if (now := progress()) != before:
            before, changed_s = now, time.monotonic()
        assert time.monotonic() - changed_s < DEADLINE_S, f"in vain; at last: {answer!r}"
        time.sleep(BETWEEN_LOOKS_S)
    return answer
