"""How often somebody may guess."""

import ipaddress
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cw_mqtt.web.endpoints import RefusedError

log = logging.getLogger(__name__)

FREE_GUESSES = 20  # a person mistypes less often, and it is too little to find a password
FREE_OF_ADDRESS = 100  # at many accounts
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 300.0
LONGEST_OF_ADDRESS_S = 5.0  # others may stand behind the same address
FORGOTTEN_AFTER_S = 900.0
MOST_REMEMBERED = 1000


class WrongGuesses:
    """How many wrong guesses were made by each of many, and the pause that follows from it.

    `free` are without a pause; each one more doubles it, up to `longest_s`. When there are too
    many to remember, those go first who need no pause.
    """

    def __init__(self, free: int, longest_s: float, monotonic: Callable[[], float]) -> None:
        self._free = free
        self._longest_s = longest_s
        self._monotonic = monotonic
        # how many, and when the last one was; the latest is at the end
        self._wrong: dict[object, tuple[int, float]] = {}

    def pause_s(self, guesser: object) -> float:
        """How long to wait before the next guess, 0 when it may be now."""
        count, last_s = self._wrong.get(guesser, (0, 0.0))
        excess = min(count - self._free, 20)  # far beyond the longest pause
        if excess < 0:
            return 0.0
        pause_s: float = min(FIRST_PAUSE_S * 2**excess, self._longest_s)
        return max(0.0, last_s + pause_s - self._monotonic())

    def add(self, guesser: object) -> bool:
        """Note a wrong guess; whether it is the first one with a pause."""
        now_s = self._monotonic()
        count, last_s = self._wrong.pop(guesser, (0, now_s))
        count = count + 1 if now_s - last_s < FORGOTTEN_AFTER_S else 1
        if len(self._wrong) >= MOST_REMEMBERED:
            unpaused = (who for who, (wrong, _) in self._wrong.items() if wrong < self._free)
            del self._wrong[next(unpaused, next(iter(self._wrong)))]
        self._wrong[guesser] = count, now_s
        return count == self._free

    def forget(self, guesser: object) -> None:
        """Begin anew with somebody."""
        self._wrong.pop(guesser, None)


class Throttle:
    """Lets each pair of account and address guess twenty times, then after ever longer pauses.

    Neither the account from another address nor another account from this one is slowed down,
    until there were a hundred wrong guesses from an address: then a little, except for pairs that
    have guessed right before. For any thread.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._lock = threading.Lock()
        self._pairs = WrongGuesses(FREE_GUESSES, LONGEST_PAUSE_S, monotonic)
        self._addresses = WrongGuesses(FREE_OF_ADDRESS, LONGEST_OF_ADDRESS_S, monotonic)
        self._right: dict[tuple[str, str], None] = {}

    def pause_s(self, account: str, address: str) -> float:
        """How long to wait before the next guess, 0 when it may be now."""
        pair = account, network_of(address)
        with self._lock:
            pause_s = self._pairs.pause_s(pair)
            return (
                pause_s if pair in self._right else max(pause_s, self._addresses.pause_s(pair[1]))
            )

    def wrong(self, account: str, address: str) -> None:
        """Note a wrong guess; the first one that is followed by a pause is logged."""
        pair = account, network_of(address)
        with self._lock:
            if self._pairs.add(pair):
                log.warning("too many wrong passwords for %r from %s", account, address)
            if self._addresses.add(pair[1]):
                log.warning("too many wrong passwords for many logins from %s", address)

    def right(self, account: str, address: str) -> None:
        """Forget the wrong ones after a right one."""
        pair = account, network_of(address)
        with self._lock:
            self._pairs.forget(pair)
            self._right[pair] = None
            if len(self._right) > MOST_REMEMBERED:
                del self._right[next(iter(self._right))]


def network_of(address: str) -> str:
    """Whose address it is: of IPv6 the network, since anybody has 2**64 of those."""
    ip = ipaddress.ip_address(address)
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.version == 6 else address


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
