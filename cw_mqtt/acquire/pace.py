"""Letting things happen at the times at which they once did."""

import threading
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Value = TypeVar("Value")


def paced(
    timed: Iterable[tuple[float, Value]], stopping: threading.Event, speed: float = 1.0
) -> Iterator[Value]:
    """Each value as many seconds after the first as its time says, `speed` times faster.

    Ends early when `stopping` is set.
    """
    began_s = time.monotonic()
    first_s: float | None = None
    for at_s, value in timed:
        first_s = at_s if first_s is None else first_s
        due_s = began_s + (at_s - first_s) / speed
        if stopping.wait(max(0.0, due_s - time.monotonic())):
            return
        yield value
