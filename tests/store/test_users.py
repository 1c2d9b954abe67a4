import pytest

from cw_mqtt.errors import UsageError
from cw_mqtt.records import Account, Role, Session
from cw_mqtt.store.schema import bring_up_to_date
from cw_mqtt.store.users import LONGEST_SESSION_S, NOTED_EVERY_S, SESSION_S, Accounts
from tests.clock import Clock
from tests.home import START_TS

PLACE = ("192.0.2.7", "Firefox on Linux")


@pytest.fixture
def clock():
    return Clock(START_TS)


@pytest.fixture
def accounts(home, clock):
    bring_up_to_date(home.engine)
    return Accounts(home.engine, clock)


@pytest.fixture
def ada(accounts):
    """An account with one session, `key`."""
    accounts.add("ada", "hash of it", Role.WRITE)
    accounts.begin_session(accounts.find("ada"), "key", *PLACE)
    return accounts.find("ada")


@pytest.mark.parametrize("role", Role)
def test_an_account_is_found_by_its_login(accounts, role):
    accounts.add("hélène", "hash of it", role)

    assert accounts.find("hélène") == Account("hélène", role, "hash of it")


def test_an_unknown_login_has_no_account(accounts, ada):
    assert accounts.find("ADA") is None


@pytest.mark.parametrize(
    ("is_admin", "role"), [("1", Role.WRITE), ("0", Role.READ), ("NULL", Role.READ)]
)
def test_a_user_of_an_old_base_may_write_if_an_administrator(home, accounts, is_admin, role):
    home.tell(f"INSERT INTO users (login, is_admin) VALUES ('old', {is_admin})")

    assert accounts.find("old") == Account("old", role, "")


def test_a_login_is_given_once(accounts, ada):
    with pytest.raises(UsageError, match="already a user 'ada'"):
        accounts.add("ada", "other", Role.READ)

    assert accounts.find("ada") == ada


def test_a_role_can_be_changed(accounts, ada):
    accounts.set_role("ada", Role.READ)

    assert accounts.find("ada").role is Role.READ


def test_a_removed_account_is_gone(accounts, ada):
    accounts.remove("ada")

    assert accounts.find("ada") is None
    assert not accounts.exist()


@pytest.mark.parametrize(
    "change",
    [
        lambda accounts: accounts.set_password("eve", "y"),
        lambda accounts: accounts.set_role("eve", Role.WRITE),
        lambda accounts: accounts.remove("eve"),
    ],
)
def test_nobody_cannot_be_changed(accounts, ada, change):
    with pytest.raises(UsageError, match="no user 'eve'"):
        change(accounts)

    assert accounts.all() == [ada]


def test_accounts_are_listed_in_order(accounts):
    accounts.add("b", "x", Role.READ)
    accounts.add("a", "x", Role.READ)

    assert [account.login for account in accounts.all()] == ["a", "b"]


def test_a_better_hash_does_not_undo_a_change_of_the_password(accounts, ada):
    accounts.set_password("ada", "hash of the new one")

    accounts.replace_hash(ada, "better hash of the old one")

    assert accounts.find("ada").password_hash == "hash of the new one"


def test_a_session_is_its_users(accounts, ada):
    assert accounts.session("key") == ada
    assert accounts.session("another") is None


@pytest.mark.parametrize(
    "end",
    [
        lambda accounts: accounts.end_session("key"),
        lambda accounts: accounts.set_password("ada", "new"),
        lambda accounts: accounts.remove("ada"),
    ],
)
def test_a_session_ends_at_once(accounts, ada, end):
    end(accounts)

    assert accounts.session("key") is None


def test_no_session_begins_with_a_password_that_was_changed(accounts, ada):
    accounts.set_password("ada", "new")

    accounts.begin_session(ada, "late", *PLACE)

    assert accounts.session("late") is None


def test_a_session_that_is_used_goes_on(accounts, ada, clock):
    clock.now += SESSION_S - 1
    accounts.session("key")
    clock.now += SESSION_S - 1

    assert accounts.session("key") == ada


def test_the_use_of_a_session_is_noted_once_a_day(home, accounts, ada, clock):
    clock.now += NOTED_EVERY_S - 1
    accounts.session("key")

    assert home.ask("SELECT used_ts FROM sessions") == [(START_TS,)]


def test_a_session_that_is_not_used_for_a_month_expires(home, accounts, ada, clock):
    clock.now += SESSION_S

    found = accounts.session("key")
    accounts.begin_session(ada, "new", *PLACE)

    assert found is None
    assert home.ask("SELECT key_hash FROM sessions") == [("new",)]


def test_a_session_of_a_clock_that_was_years_ahead_does_not_live_for_years(accounts, ada, clock):
    clock.now += 3 * 365 * 86400
    accounts.begin_session(ada, "ahead", *PLACE)
    clock.now -= 3 * 365 * 86400

    assert accounts.session("ahead") is None


def test_a_use_that_a_clock_ahead_has_noted_is_noted_anew(home, accounts, ada, clock):
    clock.now += 10 * 86400
    accounts.session("key")
    clock.now -= 10 * 86400

    assert accounts.session("key") == ada
    assert home.ask("SELECT used_ts FROM sessions") == [(START_TS,)]


def test_an_account_does_not_show_its_password():
    assert "secret" not in repr(Account("a", Role.READ, "secret hash"))


def test_a_session_in_daily_use_ends_after_three_months(accounts, ada, clock):
    for _day in range(89):
        clock.now += 86400
        assert accounts.session("key")

    clock.now += LONGEST_SESSION_S - 89 * 86400

    assert accounts.session("key") is None


def test_sessions_are_listed_with_where_and_when(accounts, ada, clock):
    clock.now += 2 * NOTED_EVERY_S
    accounts.session("key")
    accounts.begin_session(ada, "other", "2001:db8::7", "Safari on iPhone")

    assert accounts.sessions("ada") == [
        Session(1, START_TS, START_TS + 2 * NOTED_EVERY_S, *PLACE),
        Session(2, *2 * (START_TS + 2 * NOTED_EVERY_S,), "2001:db8::7", "Safari on iPhone"),
    ]


@pytest.mark.parametrize(("number", "left"), [(1, [2]), (2, [1]), (None, [])])
def test_one_session_or_all_can_be_ended(accounts, ada, number, left):
    accounts.begin_session(ada, "other", *PLACE)

    accounts.end_sessions("ada", number)

    assert [each.number for each in accounts.sessions("ada")] == left


def test_the_session_of_somebody_else_is_not_ended(accounts, ada):
    accounts.add("eve", "hash", Role.READ)

    with pytest.raises(UsageError, match="eve has no session 1"):
        accounts.end_sessions("eve", 1)

    assert accounts.session("key") == ada


def test_that_there_was_a_user_is_not_forgotten(accounts, ada):
    accounts.remove("ada")

    assert not accounts.exist()
    assert accounts.ever_existed()


def test_a_user_whom_others_made_and_removed_is_remembered_once_seen(home, accounts):
    assert not accounts.ever_existed()
    home.tell("INSERT INTO users (login) VALUES ('old')")
    assert accounts.ever_existed()

    home.tell("DELETE FROM users")

    assert accounts.ever_existed()
