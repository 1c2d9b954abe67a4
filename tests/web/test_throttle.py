"""How often somebody may guess, as values."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from cw_mqtt.web.endpoints import RefusedError
from cw_mqtt.web.throttle import (
    FORGOTTEN_AFTER_S,
    FREE_GUESSES,
    FREE_OF_ADDRESS,
    LONGEST_OF_ADDRESS_S,
    MOST_REMEMBERED,
    Throttle,
    Turns,
)
from tests.clock import Clock
from tests.waiting import DEADLINE_S, wait_until

pytestmark = pytest.mark.usefixtures("caplog")  # each pause is logged


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock)


def guess_wrong(
    throttle: Throttle, times: int, account: str = "ada", at: str = "192.0.2.1"
) -> float:
    """Guess so often; how long to wait then."""
    for _ in range(times):
        throttle.wrong(account, at)
    return throttle.pause_s(account, at)


@pytest.mark.parametrize(
    ("guesses", "pause_s"), [(0, 0), (19, 0), (20, 1), (21, 2), (25, 32), (29, 300), (5000, 300)]
)
def test_the_pause_doubles_up_to_five_minutes(
    throttle: Throttle, guesses: int, pause_s: float
) -> None:
    assert guess_wrong(throttle, guesses) == pause_s


def test_the_pause_passes(throttle: Throttle, clock: Clock) -> None:
    guess_wrong(throttle, FREE_GUESSES + 2)

    clock.now = 3.5
    rest_s = throttle.pause_s("ada", "192.0.2.1")
    clock.now = 4.0

    assert rest_s == 0.5
    assert throttle.pause_s("ada", "192.0.2.1") == 0


def test_a_right_guess_forgets_the_wrong_ones(throttle: Throttle) -> None:
    guess_wrong(throttle, FREE_GUESSES + 2)

    throttle.right("ada", "192.0.2.1")

    assert guess_wrong(throttle, FREE_GUESSES - 1) == 0


def test_wrong_guesses_are_forgotten_after_a_while(throttle: Throttle, clock: Clock) -> None:
    guess_wrong(throttle, FREE_GUESSES + 2)

    clock.now = FORGOTTEN_AFTER_S

    assert guess_wrong(throttle, 1) == 0


@pytest.mark.parametrize(
    ("another", "hindered"),
    [("2001:db8::ffff", True), ("2001:db8:0:1::1", False), ("192.0.2.1", False)],
)
def test_a_network_of_ipv6_is_one_address(throttle: Throttle, another: str, hindered: bool) -> None:
    guess_wrong(throttle, FREE_GUESSES + 2, at="2001:db8::1")

    assert (throttle.pause_s("ada", another) > 0) is hindered


def test_who_needs_a_pause_is_forgotten_last(throttle: Throttle) -> None:
    guess_wrong(throttle, FREE_GUESSES + 2, "ada")
    guess_wrong(throttle, FREE_GUESSES - 1, "bob")

    for number in range(2 * MOST_REMEMBERED):
        throttle.wrong(f"account {number}", f"10.0.{number // 250}.{number % 250}")

    assert throttle.pause_s("ada", "192.0.2.1") > 0
    assert guess_wrong(throttle, 1, "bob") == 0


def test_guesses_at_many_accounts_slow_down_their_address(
    throttle: Throttle, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    throttle.right("ada", "192.0.2.1")
    for number in range(FREE_OF_ADDRESS + 10):
        throttle.wrong(f"account {number}", "192.0.2.1")

    assert throttle.pause_s("eve", "192.0.2.1") == LONGEST_OF_ADDRESS_S
    assert throttle.pause_s("ada", "192.0.2.1") == 0
    assert throttle.pause_s("eve", "192.0.2.2") == 0
    assert caplog.messages == ["too many wrong passwords for many logins from 192.0.2.1"]


def test_a_pause_is_logged_when_it_begins(
    throttle: Throttle, caplog: pytest.LogCaptureFixture
) -> None:
    guess_wrong(throttle, FREE_GUESSES + 20, "ada\nx", "2001:db8::1")

    assert caplog.messages == ["too many wrong passwords for 'ada\\nx' from 2001:db8::1"]


MOST_WAITING = 4


class Door:
    """Turns, of which somebody has taken the first and keeps it until `open`."""

    def __init__(self) -> None:
        self.let_in: list[str] = []
        self._turns = Turns(MOST_WAITING)
        self._opened = threading.Event()
        self._callers = ThreadPoolExecutor(20)
        self._callers.submit(self._enter, "first")
        wait_until(lambda: self.let_in)

    def come(self, address: str) -> Future[None]:
        """Come from an address: wait behind the others, or in the place of one who is refused."""
        before = self._turns.waiting
        coming = self._callers.submit(self._enter, address)
        if before < MOST_WAITING:
            wait_until(lambda: self._turns.waiting > before)
        return coming

    def open(self) -> list[str]:
        """Let everybody in, one by one; the order in which they came in."""
        self._opened.set()
        self._callers.shutdown()
        return self.let_in[1:]

    def _enter(self, address: str) -> None:
        with self._turns.turn(address):
            self.let_in.append(address)
            self._opened.wait(DEADLINE_S)


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    yield door
    door.open()


def test_no_address_goes_twice_while_another_waits(door: Door) -> None:
    for address in ("flood", "flood", "flood", "ada"):
        door.come(address)

    assert door.open() == ["flood", "ada", "flood", "flood"]


def test_a_flood_from_one_address_makes_room_for_another(door: Door) -> None:
    flood = [door.come("flood") for _ in range(MOST_WAITING)]

    ada = door.come("ada")

    assert isinstance(flood[-1].exception(DEADLINE_S), RefusedError)
    assert door.open() == ["flood", "ada", "flood", "flood"]
    assert ada.exception() is None


def test_who_adds_to_a_flood_is_refused(door: Door) -> None:
    for address in ("flood", "flood", "ada", "bob"):
        door.come(address)

    assert isinstance(door.come("flood").exception(DEADLINE_S), RefusedError)
