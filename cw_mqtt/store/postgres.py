"""psycopg2 made to wait for no server without limit.

A server that is frozen (stopped, swapped out, on a disk that hangs) never answers, and the kernel
of its computer still acknowledges what it is sent: no timeout of TCP ends such a wait.
"""

import math
import select
import time
from typing import Any

import psycopg2
from psycopg2 import extensions

CONNECT_WITHIN_S = 5.0
STATEMENT_WITHIN_S = 20.0
LOCKS_WITHIN_S = 10.0
POSTGRES_WITHIN_S = STATEMENT_WITHIN_S + 5.0  # who does not say by then that it took too long

# Without the later ones a connection whose other end lost its power hangs for hours; compiling
# a query of ours takes longer than running it. Before version 12 numbers come with 15 digits.
ARGUMENTS = {
    "client_encoding": "utf8",
    "options": (
        f"-c jit=off -c extra_float_digits=3 -c statement_timeout={STATEMENT_WITHIN_S:.0f}s "
        f"-c lock_timeout={LOCKS_WITHIN_S:.0f}s"
    ),
    "application_name": "cw-mqtt",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


class PostgresConnection(extensions.connection):
    """A connection that knows how long it waits for an answer."""

    answer_within_s = POSTGRES_WITHIN_S


def arguments() -> dict[str, Any]:
    """What `psycopg2.connect` is to be called with; makes all its waits end."""
    extensions.set_wait_callback(wait)
    return {**ARGUMENTS, "connection_factory": PostgresConnection}


def wait(connection: Any) -> None:
    """Wait until the server has done what it was asked for; psycopg2 calls this in place of C.

    Raises `OperationalError` when it does not answer; psycopg2 then closes the connection.
    """
    try:
        _wait(connection)
    except KeyboardInterrupt:
        connection.cancel()  # or the server would first finish what is in vain
        raise


def _wait(connection: Any) -> None:
    is_new = connection.status == extensions.STATUS_SETUP
    within_s = CONNECT_WITHIN_S if is_new else getattr(connection, "answer_within_s", math.inf)
    deadline_s = time.monotonic() + within_s
    while (state := connection.poll()) != extensions.POLL_OK:
        events = select.POLLIN if state == extensions.POLL_READ else select.POLLOUT
        poll = select.poll()
        poll.register(connection.fileno(), events)
        left_s = deadline_s - time.monotonic()
        if not poll.poll(None if left_s == math.inf else max(0.0, left_s) * 1000):
            raise psycopg2.OperationalError(f"no answer for {within_s:.0f} s")


def take_time(connection: Any) -> None:
    """Let the transaction that begins on this connection take as long as it needs."""
    connection.answer_within_s = math.inf
    connection.cursor().execute("SET LOCAL statement_timeout = 0")


def hurry(connection: Any, *_: object) -> None:
    """Let this connection wait no longer than usual again."""
    connection.answer_within_s = POSTGRES_WITHIN_S
