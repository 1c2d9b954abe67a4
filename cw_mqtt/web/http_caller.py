"""One caller of the HTTP server: what his connection waits for, and how long."""

import select
import socket
import ssl
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import TypeVar

from cw_mqtt.web.http_connection import (
    NOT_IN_TIME,
    HttpConnection,
    RefusedRequestError,
    Request,
)

IDLE_S = 20.0
HEAD_WITHIN_S = 10.0
BODY_WITHIN_S = 10.0
TAKEN_WITHIN_S = 20.0  # each part of an answer
LINGER_S = 5.0
RECEIVED_AT_ONCE = 16 * 1024


class Wants(Enum):
    """What a connection waits for before it goes on."""

    READ = select.EPOLLIN
    WRITE = select.EPOLLOUT
    TURN = "to be one of those that ask the database"


Result = TypeVar("Result")


Steps = Generator[Wants, None, Result]


@dataclass(eq=False, slots=True)
class Caller:
    """A connection that is open; only the thread that carries it on closes it.

    `waits_since_s` is None while a request is being answered. `deadline_s` is for what it does
    now, `is_sending` or not; `is_late` says that one has passed.
    """

    socket: socket.socket
    address: tuple[str, int]
    here: tuple[str, int]
    waits_since_s: float | None
    deadline_s: float | None = None
    is_late: bool = False
    is_sending: bool = False
    is_registered: bool = False
    http: HttpConnection = field(default_factory=HttpConnection)
    steps: Steps[None] | None = None

    def within(self, seconds: float) -> None:
        """What it does next has to be done in this time."""
        self.deadline_s = time.monotonic() + seconds

    def break_off(self, how: int) -> None:
        """Wake whoever waits for this connection: nothing more is read, or written either.

        Of the socket below TLS, which another thread may have in hand.
        """
        with suppress(OSError):
            socket.socket.shutdown(self.socket, how)

    def is_gone(self) -> bool:
        """Whether nobody waits for an answer any more; for any thread."""
        if self.is_late or self.socket.fileno() < 0:
            return True
        look = select.poll()
        look.register(self.socket, select.POLLRDHUP)
        return bool(look.poll(0))


def request_of(caller: Caller) -> Steps[Request | None]:
    """The next request; None when the caller is gone, or has nothing to say for long.

    Each part has a deadline as a whole, however slowly its bytes come.
    """
    http, phase = caller.http, ""
    while not (request := http.request()):
        if http.is_ended:
            return None
        if phase != http.phase:
            phase = http.phase
            limits = {"idle": IDLE_S, "head": HEAD_WITHIN_S, "body": BODY_WITHIN_S}
            yield from send(caller, http.invitation())
            caller.within(limits[phase])
        said = yield from tried(lambda: caller.socket.recv(RECEIVED_AT_ONCE))
        if caller.is_late and phase == "idle":
            return None
        if caller.is_late:
            raise RefusedRequestError(408, NOT_IN_TIME)
        http.receive(said)
    return request


def send(caller: Caller, said: bytes) -> Steps[None]:
    """Send bytes. Raises `OSError` when nobody takes them in time."""
    if not said:
        return
    caller.within(TAKEN_WITHIN_S)
    caller.is_sending = True
    rest = memoryview(said)
    while rest:
        sent = yield from tried(partial(caller.socket.send, rest), Wants.WRITE)
        rest = rest[sent:]
    caller.is_sending = False
    caller.deadline_s = None


def linger(caller: Caller) -> Steps[None]:
    """End our side and read on for a moment: a reset would lose our last words (RFC 9112, 9.6)."""
    caller.waits_since_s = time.monotonic()
    caller.break_off(socket.SHUT_WR)
    caller.within(LINGER_S)
    while (yield from tried(lambda: socket.socket.recv(caller.socket, RECEIVED_AT_ONCE))):
        pass


def tried(do: Callable[[], Result], wants: Wants = Wants.READ) -> Steps[Result]:
    """What `do` gives as soon as it need not wait."""
    while True:
        try:
            return do()
        except ssl.SSLWantWriteError:
            yield Wants.WRITE
        except ssl.SSLWantReadError:
            yield Wants.READ
        except BlockingIOError:
            yield wants
