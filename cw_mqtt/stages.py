"""Stages: one thread for each border with the world, supervised on CherryPy's bus.

A stage runs a service. When the service raises, the stage waits a little and calls it again;
the other stages do not notice.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from cw_mqtt.errors import BridgeError
from cw_mqtt.health import Health

log = logging.getLogger(__name__)

PAUSES_S = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)


class Service(Protocol):
    """Work at one border with the world: a port, the broker, the database, the web.

    `name` is what people see in `/health`; `longest_pause_s` bounds the wait between two tries.
    """

    name: str
    longest_pause_s: float

    def serve(self, stopping: threading.Event, works: Callable[[], None]) -> None:
        """Open the resource, work until `stopping` is set, close it, return.

        Call `works` each time that the resource is known to be usable. Raise
        `ResourceAwayError` when it is gone; anything else raised is a fault of ours, logged
        with its traceback and retried in the same way. When `stopping` is set, finish what is
        in hand.
        """

    def wake(self) -> None:
        """Make a waiting `serve` look at `stopping` at once; called from other threads."""


class Bell:
    """Wakes the one thread that waits for it; ringing twice is ringing once."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def ring(self) -> None:
        """Let the waiting thread, or the next one that waits, go on."""
        self._rung.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for a ring since the last wait; false when the time ran out first."""
        rung = self._rung.wait(timeout_s)
        self._rung.clear()
        return rung


class Stage:
    """One service in one thread, called again for as long as the bridge runs."""

    def __init__(self, service: Service, health: Health) -> None:
        self.service = service
        self._health = health
        self._stopping = threading.Event()
        self._failures = 0
        self._said = ""
        # daemon: the bus joins other threads without a limit when it ends
        self._thread = threading.Thread(target=self._run, name=service.name, daemon=True)

    def start(self) -> None:
        """Start the thread; returns at once."""
        self._health.waiting(self.service.name, "starting")
        self._thread.start()

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
            except Exception as error:  # noqa: BLE001 - the one place: a stage outlives any error
                self._failed(error)
            self._stopping.wait(self._pause_s())
        self._health.stopped(self.service.name)

    def _works(self) -> None:
        if self._said:
            log.warning("%s: works again", self.service.name)
        self._failures, self._said = 0, ""
        self._health.working(self.service.name)

    def _failed(self, error: Exception) -> None:
        """Say it once, not at each retry."""
        text = str(error) if isinstance(error, BridgeError) else f"internal error: {error!r}"
        self._failures += 1
        self._health.waiting(self.service.name, text)
        if text == self._said:
            return
        self._said = text
        if isinstance(error, BridgeError):
            log.warning("%s: %s; trying again", self.service.name, text)
        else:
            log.error("%s: %s", self.service.name, text, exc_info=error)

    def _pause_s(self) -> float:
        pause_s = PAUSES_S[min(self._failures, len(PAUSES_S)) - 1]
        longest_s = min(pause_s, self.service.longest_pause_s)
        # not all at the same moment after an outage that hit many
        return longest_s * random.uniform(0.75, 1.0)  # noqa: S311 - no secret


class Stages:
    """All stages of the bridge, in the order in which they stop."""

    def __init__(self, stages: Sequence[Stage], stop_within_s: float = 8.0) -> None:
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

    def stop(self) -> None:
        """Stop one after the other; one deadline for all."""
        deadline_s = time.monotonic() + self._stop_within_s
        for stage in self._stages:
            stage.ask_to_stop()
            if not stage.join(deadline_s - time.monotonic()):
                log.error("%s did not end in time; left behind", stage.service.name)
