import pytest

from cw_mqtt.errors import UsageError
from cw_mqtt.store.accounts import Account, Accounts
from cw_mqtt.store.schema import bring_up_to_date


@pytest.fixture
def accounts(home):
    bring_up_to_date(home.engine)
    return Accounts(home.engine)


def test_an_account_is_found_by_its_login(accounts):
    accounts.add("hélène", "hash of it", admin=True)

    assert accounts.find("hélène") == Account("hélène", "hash of it", is_admin=True)


def test_an_unknown_login_has_no_account(accounts):
    accounts.add("a", "x")

    assert accounts.find("b") is None


def test_a_login_is_given_once(accounts):
    accounts.add("a", "x")

    with pytest.raises(UsageError, match="already a user 'a'"):
        accounts.add("a", "y")

    assert accounts.find("a").password_hash == "x"


def test_a_password_can_be_replaced(accounts):
    accounts.add("a", "x")

    accounts.set_password("a", "y")

    assert accounts.find("a").password_hash == "y"


def test_the_password_of_nobody_cannot_be_replaced(accounts):
    with pytest.raises(UsageError, match="no user 'a'"):
        accounts.set_password("a", "y")


def test_logins_are_listed_in_order(accounts):
    accounts.add("b", "x")
    accounts.add("a", "x")

    assert accounts.logins() == ["a", "b"]


def test_an_account_does_not_show_its_password():
    assert "secret" not in repr(Account("a", "secret hash", is_admin=False))
