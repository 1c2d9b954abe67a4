"""Bridges that hear simulated houses."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.house import Listener


@pytest.fixture
def make_listener(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> Iterator[Callable[..., Listener]]:
    """Makes the bridge of a test, with changes to its settings; it may warn of its attackers."""
    caplog.set_level(logging.ERROR)
    made: list[Listener] = []

    def make(**changes: Any) -> Listener:
        made.append(Listener(tmp_path, **changes))
        return made[-1]

    yield make
    for listener in made:
        listener.close()


@pytest.fixture
def listener(make_listener: Callable[..., Listener]) -> Listener:
    """A bridge with one sensor, `main`."""
    return make_listener()
