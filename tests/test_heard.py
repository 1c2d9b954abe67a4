import random
import sqlite3

import pytest

from cw_mqtt import heard
from cw_mqtt.heard import remember, was_heard


@pytest.fixture
def connection():
    connection = sqlite3.connect(":memory:")
    connection.executescript(heard.SCHEMA)
    yield connection
    connection.close()


def payloads(count, seed=1):
    source = random.Random(seed)
    return [source.randbytes(16) for _ in range(count)]


def test_what_was_heard_is_known_and_nothing_else(connection):
    known, unknown = payloads(2000), payloads(2000, seed=2)

    remember(connection, known)

    assert all(was_heard(connection, payload) for payload in known)
    assert not any(was_heard(connection, payload) for payload in unknown)


def test_a_full_filter_takes_few_strangers_for_known(connection, monkeypatch):
    monkeypatch.setattr(heard, "BLOCKS", 205)  # a hundredth of the size, as full
    remember(connection, payloads(heard.PAYLOADS_A_FILTER // 100))

    mistaken = sum(was_heard(connection, payload) for payload in payloads(50_000, seed=2))

    assert mistaken <= 1


def test_a_new_filter_begins_when_one_is_full(connection, monkeypatch):
    monkeypatch.setattr(heard, "PAYLOADS_A_FILTER", 100)
    known = payloads(250)

    for payload in known:
        remember(connection, [payload])

    assert all(was_heard(connection, payload) for payload in known)
    counts = [n for (n,) in connection.execute("SELECT payloads FROM filters ORDER BY filter")]
    assert counts == [100, 100, 50]


def test_memory_is_bounded_by_forgetting_the_oldest_filter(connection, monkeypatch):
    monkeypatch.setattr(heard, "PAYLOADS_A_FILTER", 10)
    monkeypatch.setattr(heard, "MOST_FILTERS", 3)
    known = payloads(45)

    for payload in known:
        remember(connection, [payload])

    assert [was_heard(connection, payload) for payload in known] == [False] * 20 + [True] * 25
    (filters,) = connection.execute("SELECT count(*) FROM filters").fetchone()
    assert filters == 3
