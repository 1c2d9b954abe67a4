"""When a chunk was heard, also on a board whose clock is wrong at the start.

A board without a battery-backed clock starts in the past until the network tells it the time.
What is heard before that waits, and is dated backwards by the monotonic clock.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from cw_mqtt.model import Chunk

log = logging.getLogger(__name__)

RELEASE_TS = 1_795_000_000.0  # no clock that is right shows a time before this version was made
TOLERANCE_S = 5.0
MOST_WAITING = 10_000
PATIENCE_S = 600.0  # a clock that was once ahead must not hold back readings for ever


class Dating:
    """Lets chunks pass once the wall clock is believable; before, it keeps the newest 10,000.

    `newest_ts` is the newest time on record. A clock behind that one, but after the release,
    is believed after ten minutes all the same: then the recorded time was wrong.
    """

    def __init__(
        self, newest_ts: float, clock: Callable[[], float], monotonic: Callable[[], float]
    ) -> None:
        self._newest_ts = newest_ts
        self._clock = clock
        self._monotonic = monotonic
        self._began_s = monotonic()
        self._waiting: deque[Chunk] = deque(maxlen=MOST_WAITING)
        self._sane = False
        self._said = False

    def dated(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """The chunks whose time is known, those that waited first."""
        for chunk in chunks:
            if not self._is_sane():
                self._waiting.append(chunk)
                continue
            while self._waiting:
                yield self._dated_back(self._waiting.popleft())
            yield chunk

    def _is_sane(self) -> bool:
        if self._sane:
            return True
        now_ts = self._clock()
        behind = now_ts < self._newest_ts - TOLERANCE_S
        patient = self._monotonic() - self._began_s < PATIENCE_S
        self._sane = now_ts >= RELEASE_TS and not (behind and patient)
        if self._sane and behind:
            log.error("the clock is behind the newest reading; going on with the clock")
        elif not self._sane and not self._said:
            self._said = True
            log.warning("the clock is not right yet; readings wait until it is")
        return self._sane

    def _dated_back(self, chunk: Chunk) -> Chunk:
        return replace(chunk, heard_ts=self._clock() - (self._monotonic() - chunk.monotonic_s))
