"""How often somebody may guess."""

import ipaddress
import threading
from collections.abc import Callable

FREE_GUESSES = 20  # a person mistypes less often, and it is too little to find a password
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 300.0
FORGOTTEN_AFTER_S = 900.0
MOST_REMEMBERED = 1000

Guesser = tuple[str, str]


class Throttle:
    """Lets each pair of account and address guess twenty times, then after ever longer pauses.

    Nobody else is slowed down: not the account from another address, nor another account from
    this one. The longest unused pair is forgotten when there are too many. For any thread.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        # how many wrong guesses, and when the last one was; the latest is at the end
        self._wrong: dict[Guesser, tuple[int, float]] = {}

    def pause_s(self, account: str, address: str) -> float:
        """How long to wait before the next guess, 0 when it may be now."""
        with self._lock:
            count, last_s = self._wrong.get(guesser(account, address), (0, 0.0))
        excess = min(count - FREE_GUESSES, 20)  # far beyond the longest pause
        if excess < 0:
            return 0.0
        pause_s: float = min(FIRST_PAUSE_S * 2**excess, LONGEST_PAUSE_S)
        return max(0.0, last_s + pause_s - self._monotonic())

    def wrong(self, account: str, address: str) -> None:
        """Note a wrong guess."""
        key, now_s = guesser(account, address), self._monotonic()
        with self._lock:
            count, last_s = self._wrong.pop(key, (0, now_s))
            self._wrong[key] = (count + 1 if now_s - last_s < FORGOTTEN_AFTER_S else 1, now_s)
            if len(self._wrong) > MOST_REMEMBERED:
                del self._wrong[next(iter(self._wrong))]

    def right(self, account: str, address: str) -> None:
        """Forget the wrong ones after a right one."""
        with self._lock:
            self._wrong.pop(guesser(account, address), None)


def guesser(account: str, address: str) -> Guesser:
    """Who guesses at what: of an IPv6 address its network, since anybody has 2**64 of those."""
    ip = ipaddress.ip_address(address)
    if ip.version == 6:
        return account, str(ipaddress.ip_network((ip, 64), strict=False))
    return account, address
