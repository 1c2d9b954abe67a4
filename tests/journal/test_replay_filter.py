import random

import pytest

from cw_mqtt.journal import replay_filter as heard
from cw_mqtt.journal.replay_filter import BLOCK_BYTES, Filters, ReplayFilter, place


@pytest.fixture
def filters(tmp_path, monkeypatch):
    monkeypatch.setattr(heard, "BLOCKS", 205)  # a hundredth of the size
    monkeypatch.setattr(heard, "PAYLOADS_A_FILTER", 20_000)
    filters = Filters(tmp_path)
    yield filters
    filters.close()


def payloads(count, seed=1):
    source = random.Random(seed)
    return [source.randbytes(16) for _ in range(count)]


def test_what_was_heard_is_known_and_nothing_else(filters):
    known, unknown = payloads(2000), payloads(2000, seed=2)

    assert filters.remember(known)

    assert all(filters.know(payload) for payload in known)
    assert not any(filters.know(payload) for payload in unknown)


def test_what_was_heard_is_known_after_a_restart(filters, tmp_path):
    known = payloads(30_000)
    filters.remember(known[:25_000])
    filters.remember(known[25_000:])

    again = Filters(tmp_path)

    assert all(again.know(payload) for payload in known)
    again.close()


def test_a_full_filter_takes_few_strangers_for_known(filters):
    filters.remember(payloads(20_000))

    mistaken = sum(filters.know(payload) for payload in payloads(50_000, seed=2))

    assert mistaken <= 1


def test_memory_is_bounded_by_forgetting_the_oldest_filter(filters, tmp_path, monkeypatch):
    monkeypatch.setattr(heard, "PAYLOADS_A_FILTER", 10)
    monkeypatch.setattr(heard, "MOST_FILTERS", 3)
    known = payloads(45)

    for payload in known:
        filters.remember([payload])

    assert [filters.know(payload) for payload in known] == [False] * 20 + [True] * 25
    assert sorted(path.name for path in tmp_path.iterdir()) == ["heard.3", "heard.4", "heard.5"]


@pytest.mark.parametrize("rubbish", [b"\0", b"\xff", b"\xa5"])
def test_a_damaged_block_alone_begins_anew_and_it_is_said_once(filters, tmp_path, rubbish, caplog):
    known = payloads(1000)
    filters.remember(known)
    block, _ = place(known[0])
    with (tmp_path / "heard.1").open("r+b") as file:
        file.seek(block * BLOCK_BYTES)
        file.write(rubbish * BLOCK_BYTES)

    there = [filters.know(payload) for payload in known]

    assert there == [place(payload)[0] != block for payload in known]
    filters.remember([known[0]])
    assert filters.know(known[0])
    assert caplog.text.count("was damaged") == 1


def test_a_filter_that_cannot_be_used_stops_nothing(filters, tmp_path, caplog):
    (tmp_path / "heard.1").mkdir()

    assert not filters.remember(payloads(10))
    assert not filters.remember(payloads(10))
    assert not Filters(tmp_path).know(bytes(16))

    assert caplog.text.count("repeated packets may not be noticed") == 2


def test_what_was_heard_of_late_is_known_before_and_after_it_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(heard, "HEARD_AT_ONCE", 3)
    first, second, third = payloads(3)
    known = ReplayFilter(tmp_path, [first + second])
    known.add([third])

    assert known.is_due
    assert all(known.knows(payload) for payload in (first, second, third))
    assert known.write()
    known.forget_recent()

    assert not known.is_due
    assert all(known.knows(payload) for payload in (first, second, third))
    known.close()


def test_what_cannot_be_written_stays_known_and_is_not_soon_due(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(heard, "HEARD_AT_ONCE", 3)
    (tmp_path / "heard.1").mkdir()
    known = ReplayFilter(tmp_path, [b"".join(payloads(3))])

    assert not known.write()

    assert not known.is_due
    assert all(known.knows(payload) for payload in payloads(3))
    assert "repeated packets may not be noticed" in caplog.text
