"""How one thread wakes another that waits for work."""

import threading


class Wakeup:
    """Wakes the one thread that waits for it; ringing twice is ringing once."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def wake(self) -> None:
        """Let the waiting thread, or the next one that waits, go on."""
        self._rung.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for a wakeup since the last wait; false when the time ran out first."""
        rung = self._rung.wait(timeout_s)
        self._rung.clear()
        return rung
