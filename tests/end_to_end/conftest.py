from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.process import Board, Bridge
from tests.mosquitto import Broker

StartBridge = Callable[..., Bridge]


@pytest.fixture
def board() -> Iterator[Board]:
    """A receiver board that is plugged in."""
    board = Board()
    yield board
    board.close()


@pytest.fixture
def bridge(
    tmp_path: Path, broker: Broker, board: Board, database_url: str | None
) -> Iterator[StartBridge]:
    """Makes the one bridge of a test, between this board, broker and database; not started."""
    made: list[Bridge] = []

    def make(**changes: Any) -> Bridge:
        neighbours = {
            "receivers": [{"name": "hall", "port": board.port}],
            "mqtt": {"host": broker.host, "port": broker.port},
            "database": {"url": database_url} if database_url else {},
        }
        made.append(Bridge(tmp_path, {**neighbours, **changes}))
        return made[-1]

    yield make
    for each in made:
        each.stop()
