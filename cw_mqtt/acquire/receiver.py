"""Listening to a line for as long as the bridge runs, and handing over what it says."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing

from cw_mqtt.acquire.serial_port import Line
from cw_mqtt.model import SILENCE_S, Chunk
from cw_mqtt.runtime.clock import steady_s
from cw_mqtt.runtime.health import Health

log = logging.getLogger(__name__)

LOOK_S = 0.2  # on a silent line: how often its thread looks whether it must stop
QUIET_S = 600.0
LONGEST_QUIETS = 6

HandOver = Callable[[Chunk], None]


class Receiver:
    """The service of one receiver: opens its line, reads it, opens it again when it is deaf.

    A receiver board whose radio browned out stays deaf until it is reset, and opening its port
    resets it. So a line on which nothing of use came for `quiet_s` is opened again; the pause
    doubles up to six times that while nothing comes. `of_use_s` says when something of use was
    heard last, such as a proven packet: a board may also write zeros for ever. Without it, any
    byte is.
    """

    longest_pause_s = 5.0  # a port may be plugged in again at any moment
    when_stuck = "its port does not answer: unplug it and plug it in again"

    def __init__(
        self,
        receiver: str,
        open_line: Callable[[], Line],
        hand_over: HandOver,
        health: Health,
        quiet_s: float = QUIET_S,
        of_use_s: Callable[[], float] | None = None,
    ) -> None:
        self.name = f"receiver {receiver}"
        self._receiver = receiver
        self._open_line = open_line
        self._hand_over = hand_over
        self._health = health
        self._bytes_s = 0.0
        self._of_use_s = of_use_s or (lambda: self._bytes_s)
        self._quiet_s = self._patience_s = quiet_s

    def serve(self, stopping: threading.Event, works: Callable[[], None]) -> None:
        """See `Service.serve`."""
        while not stopping.is_set():
            with closing(self._open_line()) as line:
                self._listen(line, stopping, works)
            if not stopping.is_set():
                self._note_quiet()

    def wake(self) -> None:
        """Nothing to do: a silent line's thread looks five times a second."""

    def _listen(self, line: Line, stopping: threading.Event, works: Callable[[], None]) -> None:
        """Hand over what comes until `stopping`, or until patience with a quiet line ends."""
        opened = silent = True
        opened_s = steady_s()
        while not stopping.is_set():
            content = line.read(LOOK_S if silent else SILENCE_S)
            works()
            chunk = Chunk(self._receiver, time.time(), steady_s(), content, opened)
            if content:
                self._health.count("receivers", self._receiver, "bytes", by=len(content))
                self._bytes_s = chunk.monotonic_s
            if content or not silent:
                self._hand_over(chunk)
                opened = False
            silent = not content
            if (of_use_s := self._of_use_s()) > opened_s:
                self._note_heard()
            if chunk.monotonic_s - max(opened_s, of_use_s) > self._patience_s:
                return

    def _note_heard(self) -> None:
        if self._patience_s != self._quiet_s:
            log.warning("%s: is heard again", self.name)
            self._patience_s = self._quiet_s

    def _note_quiet(self) -> None:
        self._health.count("receivers", self._receiver, "reopened")
        # said once; the tries after the first are only counted
        level = logging.WARNING if self._patience_s == self._quiet_s else logging.DEBUG
        log.log(
            level,
            "%s: nothing of use heard for %.0f s; opening its port again, which resets a board",
            self.name,
            self._patience_s,
        )
        self._patience_s = min(2 * self._patience_s, LONGEST_QUIETS * self._quiet_s)
