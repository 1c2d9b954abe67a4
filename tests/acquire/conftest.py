"""A service that serves in a thread of its own, and a pseudo-terminal in the place of a board."""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from cw_mqtt.acquire import receiver
from cw_mqtt.errors import BridgeError
from cw_mqtt.model import Chunk
from cw_mqtt.runtime.health import Health
from cw_mqtt.runtime.stages import Service
from tests.waiting import DEADLINE_S, wait_until


class Serving:
    """What a service handed over, and how it ended; `worked` counts its calls of `works`."""

    def __init__(self) -> None:
        self.health = Health()
        self.chunks: list[Chunk] = []
        self.worked = 0
        self.error: BridgeError | None = None
        self._stopping = threading.Event()
        self._service: Service | None = None
        self._thread: threading.Thread | None = None

    @property
    def contents(self) -> list[bytes]:
        return [chunk.content for chunk in self.chunks]

    def start(self, service: Service) -> None:
        self._service = service
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        wait_until(lambda: self.worked or self.error)

    def stop(self) -> None:
        self._stopping.set()
        if self._service and self._thread:
            self._service.wake()
            self._thread.join(DEADLINE_S)
            assert not self._thread.is_alive()

    def figure(self, receiver: str, name: str) -> object:
        return self.health.report().get("receivers", {}).get(receiver, {}).get(name)

    def _serve(self) -> None:
        assert self._service
        try:
            self._service.serve(self._stopping, self._works)
        except BridgeError as error:
            self.error = error

    def _works(self) -> None:
        self.worked += 1


class Board:
    """A pseudo-terminal: `port` is the path to open, the rest is the board's end of it."""

    def __init__(self) -> None:
        self._board, self._port = os.openpty()
        self.port = os.ttyname(self._port)

    def send(self, content: bytes) -> None:
        os.write(self._board, content)

    def received(self) -> bytes:
        os.set_blocking(self._board, False)
        with suppress(BlockingIOError):
            return os.read(self._board, 1000)
        return b""

    def unplug(self) -> None:
        while self._port >= 0:
            os.close(self._board)
            os.close(self._port)
            self._board = self._port = -1


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    """Starts a service, and stops it at the end of the test, which it looks for more often."""
    monkeypatch.setattr(receiver, "LOOK_S", 0.02)
    serving = Serving()
    yield serving
    serving.stop()


@pytest.fixture
def board() -> Iterator[Board]:
    """A board to listen to, plugged in."""
    board = Board()
    yield board
    board.unplug()
