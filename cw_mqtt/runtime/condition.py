"""Whether one thing is in order: what is wrong is said once, and once that it is right again."""

import logging
import math
import threading
import time
from collections.abc import Callable

from cw_mqtt.runtime.health import Health

log = logging.getLogger(__name__)

PAUSES_S = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
BELIEVED_AFTER_S = 1.0
STEADY_S = 60.0
LONGEST_STEADY_S = 3600.0
MOST_SAID = 10


class Condition:
    """Tells health at once, and the log once, what is wrong with one thing.

    What was wrong is believed to be right when it has been so for a second, and said to be after
    a minute; each relapse within the hour doubles that minute. So what comes and goes all
    day takes a few lines. `pause_s` is how long to wait before the next try: it grows with every
    fault until that minute is over. For any thread.
    """

    def __init__(
        self,
        name: str,
        health: Health,
        longest_pause_s: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pause_s = 0.0
        self._name = name
        self._health = health
        self._longest_pause_s = longest_pause_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._proven = False
        self._faults = 0
        self._said: set[str] = set()
        self._right_since_s: float | None = None
        self._over_s = -math.inf
        self._steady_s = STEADY_S

    @property
    def is_right(self) -> bool:
        """Whether nothing was wrong the last time that it was looked at."""
        return not self._faults or self._right_since_s is not None

    def right(self) -> None:
        """It has just been seen in order; say so again and again."""
        with self._lock:
            now_s = self._monotonic()
            if self._right_since_s is None:
                self._right_since_s = now_s
            if not self._proven and not self._faults:
                log.info("%s: works", self._name)
            self._proven = True
            right_s = now_s - self._right_since_s
            if right_s >= min(self.pause_s, BELIEVED_AFTER_S):
                self._health.working(self._name)
            if self._faults and right_s >= self._steady_s:
                log.warning("%s: works again; faults: %d", self._name, self._faults)
                self._faults, self.pause_s, self._over_s = 0, 0.0, now_s
                self._said.clear()

    def wrong(self, reason: str, error: Exception | None = None) -> None:
        """It has just failed, for a reason in words; `error` is one that is our own fault."""
        with self._lock:
            self._right_since_s = None
            if not self._faults:
                relapsed = self._monotonic() - self._over_s < LONGEST_STEADY_S
                steady_s = 2 * self._steady_s if relapsed else STEADY_S
                self._steady_s = min(steady_s, LONGEST_STEADY_S)
            pause_s = PAUSES_S[min(self._faults, len(PAUSES_S) - 1)]
            self.pause_s = min(pause_s, self._longest_pause_s)
            self._faults += 1
            self._health.waiting(self._name, reason, self._faults)
            self._say(reason, error)

    def _say(self, reason: str, error: Exception | None) -> None:
        level = logging.ERROR if error else logging.WARNING
        if reason in self._said or len(self._said) >= MOST_SAID:
            level = logging.DEBUG
        else:
            self._said.add(reason)
        log.log(level, "%s: %s", self._name, reason, exc_info=error)
