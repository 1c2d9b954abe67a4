import pytest

from cw_mqtt.errors import UsageError
from cw_mqtt.records import Role, Token
from cw_mqtt.store.schema import bring_up_to_date
from cw_mqtt.store.users import Tokens
from tests.clock import Clock
from tests.home import START_TS

HOUR_S = 3600


@pytest.fixture
def tokens(home):
    """Two tokens, and a clock that goes on by an hour each time it is looked at."""
    bring_up_to_date(home.engine)
    hours = iter(range(1000))
    tokens = Tokens(home.engine, lambda: START_TS + HOUR_S * next(hours))
    tokens.add("solar", "hash of solar", Role.WRITE)
    tokens.add("panel", "hash of panel", Role.READ)
    return tokens


def test_a_token_is_found_by_its_hash(tokens):
    assert tokens.find("hash of solar") == Token("solar", Role.WRITE, START_TS, None)
    assert tokens.find("solar") is None


def test_tokens_are_listed_in_order(tokens):
    assert [token.name for token in tokens.all()] == ["panel", "solar"]


def test_the_use_of_a_token_is_noted_once_a_day(tokens):
    used = [tokens.find("hash of panel").used_ts for _ in range(26)]

    first_ts = START_TS + 2 * HOUR_S
    assert used == [None] + [first_ts] * 24 + [first_ts + 24 * HOUR_S]


def test_a_use_that_a_clock_ahead_has_noted_is_noted_anew(home):
    bring_up_to_date(home.engine)
    clock = Clock(START_TS + 3 * 365 * 86400)
    tokens = Tokens(home.engine, clock)
    tokens.add("solar", "hash of solar", Role.WRITE)
    tokens.find("hash of solar")
    clock.now = START_TS

    tokens.find("hash of solar")

    assert [token.used_ts for token in tokens.all()] == [START_TS]


def test_a_removed_token_is_gone(tokens):
    tokens.remove("panel")

    assert tokens.find("hash of panel") is None


def test_a_name_is_given_once(tokens):
    with pytest.raises(UsageError, match="already a token 'panel'"):
        tokens.add("panel", "another", Role.WRITE)


def test_an_unknown_token_cannot_be_removed(tokens):
    with pytest.raises(UsageError, match="no token 'phone'"):
        tokens.remove("phone")
