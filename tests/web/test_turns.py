"""Who may check a password next, with threads that wait for each other."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from cw_mqtt.web.endpoints import RefusedError
from cw_mqtt.web.turns import Turns
from tests.waiting import DEADLINE_S, wait_until

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
