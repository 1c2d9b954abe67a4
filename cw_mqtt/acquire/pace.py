"""Letting things happen at the times at which they once did."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Value = TypeVar("Value")

STEP_S = 2.0


def paced(
    timed: Iterable[tuple[float, Value]],
    stopping: threading.Event,
    speed: float = 1.0,
    meanwhile: Callable[[], None] = lambda: None,
) -> Iterator[Value]:
    """Each value as many seconds after the first as its time says, `speed` times faster.

    `meanwhile` is called every two seconds of a pause. Ends early when `stopping` is set.
    """
    began_s = time.monotonic()
    first_s: float | None = None
    for at_s, value in timed:
        first_s = at_s if first_s is None else first_s
        due_s = began_s + (at_s - first_s) / speed
        while (left_s := due_s - time.monotonic()) > 0:
            if stopping.wait(min(left_s, STEP_S)):
                return
            meanwhile()
        yield value
