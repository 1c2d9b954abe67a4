"""Questions that would take too long, or that nobody waits for any more."""

import threading

import pytest
from sqlalchemy import text

from cw_mqtt.bounds import is_unwanted
from cw_mqtt.errors import BusyError, ResourceAwayError
from cw_mqtt.store import bounded as bounds
from cw_mqtt.store.bounded import MOST_HEAVY, Heavy, bounded
from cw_mqtt.store.engine import snapshot
from tests.home import Home

ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(1000)",
}


@pytest.fixture
def home(tmp_path, database_url):
    home = Home(tmp_path, database_url)
    yield home
    home.close()


def ask(home: Home, query: str) -> object:
    with snapshot(home.engine) as connection, bounded(connection):
        return connection.execute(text(query)).scalar()


def test_a_question_without_an_end_is_ended(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "WITHIN_S", 0.1)

    with pytest.raises(ResourceAwayError, match="took too long"):
        ask(home, ENDLESS[home.engine.dialect.name])

    assert ask(home, "SELECT 1") == 1


def test_a_question_that_nobody_wants_answered_is_ended(tmp_path) -> None:
    home = Home(tmp_path)
    left = threading.Event()
    before = is_unwanted.set(left.is_set)
    left.set()

    with pytest.raises(ResourceAwayError, match="nobody waited"):
        ask(home, ENDLESS["sqlite"])

    is_unwanted.reset(before)
    home.close()


def test_a_few_heavy_questions_at_once_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "HEAVY_WAITS_S", 0.01)
    heavy = Heavy()
    for _ in range(MOST_HEAVY):
        heavy.__enter__()

    with pytest.raises(BusyError):
        heavy.__enter__()

    heavy.__exit__()
    heavy.__enter__()
