"""When Home Assistant has started: everything once more, but not too often.

Pure: the time comes in as an argument.
"""

import math

AGAIN_AT_MOST_EVERY_S = 60.0


class Retelling:
    """When to tell everything again, asked for by Home Assistant's starts: not too often."""

    def __init__(self) -> None:
        self._at_s = math.inf
        self._last_s = -math.inf

    def ask(self, now_s: float, pause_s: float) -> None:
        """Make it due after `pause_s`, and a minute after the last time at the earliest."""
        self._at_s = min(self._at_s, max(now_s + pause_s, self._last_s + AGAIN_AT_MOST_EVERY_S))

    def is_due(self, now_s: float) -> bool:
        """Whether it is time; true once for what was asked."""
        if now_s < self._at_s:
            return False
        self._at_s, self._last_s = math.inf, now_s
        return True
