"""A capture in the place of a receiver: the same chunks at the same pace, as if heard now."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from cw_mqtt.acquire.capture import read_capture
from cw_mqtt.acquire.receiver import HandOver
from cw_mqtt.runtime.clock import steady_s
from cw_mqtt.runtime.health import Health


class ReplayReceiver:
    """The service that replays a capture once, and ends."""

    longest_pause_s = 60.0
    when_stuck = "its file cannot be read: see whether its disk fails, or is a network drive"

    def __init__(self, receiver: str, path: Path, hand_over: HandOver, health: Health) -> None:
        self.name = f"receiver {receiver}"
        self._receiver = receiver
        self._path = path
        self._hand_over = hand_over
        self._health = health

    def serve(self, stopping: threading.Event, works: Callable[[], None]) -> None:
        """See `Service.serve`; of a damaged capture nothing is replayed, but `UsageError`."""
        deque(read_capture(self._path), maxlen=0)
        works()
        self._health.show("receivers", self._receiver, "replay", value="running")
        timed = ((chunk.monotonic_s, chunk) for chunk in read_capture(self._path))
        for chunk in paced(timed, stopping, meanwhile=works):
            now_ts, now_s = time.time(), steady_s()
            self._hand_over(
                replace(chunk, receiver=self._receiver, heard_ts=now_ts, monotonic_s=now_s)
            )
            works()
        self._health.show("receivers", self._receiver, "replay", value="finished")

    def wake(self) -> None:
        """Nothing to do: the pauses wait for `stopping` itself."""


Value = TypeVar("Value")

PAUSE_LOOKS_EVERY_S = 2.0


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
            if stopping.wait(min(left_s, PAUSE_LOOKS_EVERY_S)):
                return
            meanwhile()
        yield value
