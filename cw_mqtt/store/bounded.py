"""Bounds on what one question to the database may cost, however it was meant."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from cw_mqtt.bounds import is_unwanted
from cw_mqtt.errors import BusyError

WITHIN_S = 20.0
MOST_HEAVY = 2
HEAVY_WAITS_S = 2.0
BETWEEN_LOOKS = 20_000  # instructions of SQLite's machine, about a millisecond


@contextmanager
def bounded(connection: Connection) -> Iterator[Connection]:
    """Let what is asked in this transaction take `WITHIN_S`, and end when nobody wants it.

    Then it fails as if the database were away, with words that say why.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(WITHIN_S * 1000)}")
        yield connection
        return
    sqlite: Any = connection.connection.dbapi_connection
    deadline_s, unwanted = time.monotonic() + WITHIN_S, is_unwanted.get()
    sqlite.set_progress_handler(lambda: unwanted() or time.monotonic() > deadline_s, BETWEEN_LOOKS)
    try:
        yield connection
    finally:
        sqlite.set_progress_handler(None, 0)


class Heavy:
    """A slot for each of a few questions that read much at once."""

    def __init__(self) -> None:
        self._slots = threading.BoundedSemaphore(MOST_HEAVY)

    def __enter__(self) -> None:
        if not self._slots.acquire(timeout=HEAVY_WAITS_S):
            raise BusyError("others are reading long ranges; try again")

    def __exit__(self, *error: object) -> None:
        self._slots.release()
