"""Stages: one thread for each border with the world, supervised on CherryPy's bus.

A stage runs a service. When the service raises, the stage waits a little and calls it again;
the other stages do not notice. A stage works for as long as its service goes on to prove it.
"""

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from cw_mqtt.errors import BridgeError
from cw_mqtt.runtime.health import Health

log = logging.getLogger(__name__)

STUCK_AFTER_S = 8.0
STOP_WITHIN_S = 7.0  # the whole program ends within eight
EACH_STOPS_WITHIN_S = 3.0


class Service(Protocol):
    """Work at one border with the world: a port, the broker, the database, the web.

    `name` is what people see in `/health`; `longest_pause_s` bounds the wait between two tries.
    `when_stuck` says in words what does not come back when `serve` does not, and what to do.
    """

    name: str
    longest_pause_s: float
    when_stuck: str

    def serve(self, stopping: threading.Event, works: Callable[[], None]) -> None:
        """Open the resource, work until `stopping` is set, close it, return.

        Call `works` whenever the resource has just done what it is for and nothing that was
        begun is unfinished, at least every five seconds: after eight without it the stage counts
        as stuck, whatever it hangs in. Raise `ResourceAwayError` when the resource is gone;
        anything else raised is a fault of ours, logged with its traceback and retried in the
        same way. When `stopping` is set, finish what is in hand.
        """

    def wake(self) -> None:
        """Make a waiting `serve` look at `stopping` at once; called from other threads."""


class Stage:
    """One service in one thread, called again for as long as the bridge runs."""

    def __init__(
        self,
        service: Service,
        health: Health,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.service = service
        self._health = health
        self._monotonic = monotonic
        self._stopping = threading.Event()
        self._condition = Condition(service.name, health, service.longest_pause_s, monotonic)
        self._worked_s: float | None = None  # None while the service has yet to open its resource
        # daemon: the bus joins other threads without a limit when it ends
        self._thread = threading.Thread(target=self._run, name=service.name, daemon=True)

    def start(self) -> None:
        """Start the thread; returns at once."""
        self._health.waiting(self.service.name, "starting")
        self._thread.start()

    def look(self) -> None:
        """Say it when the service is stuck, since its own thread cannot; for another thread."""
        worked_s = self._worked_s
        if worked_s is not None and self._monotonic() - worked_s > STUCK_AFTER_S:
            self._worked_s = None
            self._condition.wrong(self.service.when_stuck)

    def ask_to_stop(self) -> None:
        """Tell the service to finish what is in hand and return; does not wait for it."""
        self._stopping.set()
        self.service.wake()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the thread; whether it ended in time."""
        self._thread.join(max(0.0, timeout_s))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.service.serve(self._stopping, self._works)
                break
            except BridgeError as error:
                self._condition.wrong(str(error))
            except Exception as error:  # noqa: BLE001 - the one place: a stage outlives any error
                self._condition.wrong(f"internal error: {error!r}", error)
            self._worked_s = None
            # not all at the same moment after an outage that hit many
            share = random.uniform(0.75, 1.0)  # noqa: S311 - no secret
            self._stopping.wait(self._condition.pause_s * share)
        self._worked_s = None
        reason = None if self._stopping.is_set() else "has finished"
        self._health.stopped(self.service.name, reason)

    def _works(self) -> None:
        self._worked_s = self._monotonic()
        self._condition.right()


class Stages:
    """All stages of the bridge, in the order in which they stop."""

    def __init__(self, stages: Sequence[Stage], stop_within_s: float = STOP_WITHIN_S) -> None:
        self._stages = tuple(stages)
        self._stop_within_s = stop_within_s

    def subscribe(self, bus: Any) -> None:
        """Start and stop with CherryPy's bus. A listener that raised would end the process."""
        bus.subscribe("start", self.start)
        bus.subscribe("stop", self.stop, priority=60)

    def unsubscribe(self, bus: Any) -> None:
        """Leave the bus to others."""
        bus.unsubscribe("start", self.start)
        bus.unsubscribe("stop", self.stop)

    def start(self) -> None:
        """Start the last of the path first, so that nobody hands over to nobody."""
        for stage in reversed(self._stages):
            stage.start()

    def look(self) -> None:
        """Notice stages that are stuck; for the main thread, every second or so."""
        for stage in self._stages:
            stage.look()

    def stop(self) -> None:
        """Stop one after the other; one deadline for all, of which none gets more than half."""
        deadline_s = time.monotonic() + self._stop_within_s
        for stage in self._stages:
            stage.ask_to_stop()
            left_s = deadline_s - time.monotonic()
            if not stage.join(min(left_s, EACH_STOPS_WITHIN_S)):
                log.error("%s did not stop in time; abandoned", stage.service.name)


PAUSES_S = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
BELIEVED_AFTER_S = 1.0
STEADY_S = 60.0
LONGEST_STEADY_S = 3600.0
MOST_SAID = 10  # different reasons for one trouble


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
