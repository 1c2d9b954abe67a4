"""One at a time, and of those who wait, each address in its turn."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cw_mqtt.web.endpoints import RefusedError


@dataclass(eq=False, slots=True)
class _Waiting:
    address: str
    refused: bool = False


class Turns:
    """Lets one thread in at a time, and `most_waiting` wait.

    No address goes twice in a row while another one waits. When too many wait, the newest of the
    address that has most is refused, so that a flood from one leaves room for the others.
    """

    def __init__(self, most_waiting: int) -> None:
        self._most_waiting = most_waiting
        self._changed = threading.Condition()
        self._is_taken = False
        self._last = ""
        self._waiting: list[_Waiting] = []

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._waiting)

    @contextmanager
    def turn(self, address: str) -> Iterator[None]:
        """Be the only one inside. Raises `RefusedError` when too many wait."""
        mine = _Waiting(address)
        with self._changed:
            self._waiting.append(mine)
            if len(self._waiting) > self._most_waiting + (not self._is_taken):
                self._refuse_one()
            self._changed.wait_for(lambda: mine.refused or self._is_next(mine))
            if mine.refused:
                raise RefusedError(503, "Too many logins are being checked; try again in a second.")
            self._waiting.remove(mine)
            self._is_taken, self._last = True, address
        try:
            yield
        finally:
            with self._changed:
                self._is_taken = False
                self._changed.notify_all()

    def _is_next(self, mine: _Waiting) -> bool:
        others = (each for each in self._waiting if each.address != self._last)
        return not self._is_taken and mine is next(others, self._waiting[0])

    def _refuse_one(self) -> None:
        shares = Counter(each.address for each in self._waiting)
        greediest = shares.most_common(1)[0][0]
        refused = next(each for each in reversed(self._waiting) if each.address == greediest)
        self._waiting.remove(refused)
        refused.refused = True
        self._changed.notify_all()
