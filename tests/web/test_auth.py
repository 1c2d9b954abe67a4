"""Logins: on a fake of argon2, and threads where it is about how many may check at once."""

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

import pytest

from cw_mqtt.records import Account, Role
from cw_mqtt.runtime.health import resident_mb
from cw_mqtt.web import passwords
from cw_mqtt.web.auth import MOST_LOGINS_WAITING, Logins, TooManyGuessesError
from cw_mqtt.web.endpoints import RefusedError
from cw_mqtt.web.passwords import HASHER, NOBODYS_HASH
from cw_mqtt.web.throttle import FREE_GUESSES
from tests.clock import Clock
from tests.waiting import DEADLINE_S
from tests.web.site import ADA

HERE, THERE = "192.0.2.1", "192.0.2.2"


class Hasher:
    """Stands in for argon2: a hash is the password itself; notes the hashes it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.hash = HASHER.hash

    def verify(self, password_hash: str, password: str) -> bool:
        self.asked.append(password_hash)
        self.may_go_on.wait(5)
        return password_hash == password


class Stored:
    """Stands in for the database: the hash of each login; everybody may write."""

    def __init__(self, **hashes: str) -> None:
        self.hashes = hashes

    def find(self, login: str) -> Account | None:
        found = self.hashes.get(login)
        return Account(login, Role.WRITE, found) if found else None

    def replace_hash(self, old: Account, password_hash: str) -> None:
        if self.hashes.get(old.login) == old.password_hash:
            self.hashes[old.login] = password_hash


@pytest.fixture
def hasher(monkeypatch: pytest.MonkeyPatch) -> Hasher:
    hasher = Hasher()
    monkeypatch.setattr(passwords, "HASHER", hasher)
    return hasher


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stored() -> Stored:
    return Stored(ada="secret")


@pytest.fixture
def logins(stored: Stored, hasher: Hasher, clock: Clock) -> Logins:
    """Logins of Ada, whose password is secret."""
    return Logins(stored, clock)


def guess_until_refused(logins: Logins, login: str = "ada", address: str = HERE) -> int:
    """Guess without a pause; how many guesses were looked at."""
    for number in range(100):
        try:
            assert not logins.check(login, f"guess {number}", address)
        except TooManyGuessesError:
            return number
    raise AssertionError("so many guesses were free")


def test_only_the_right_password_of_a_known_login_passes(password_hash: str) -> None:
    logins = Logins(Stored(ada=password_hash))

    answers = [
        logins.check(*ADA, HERE),
        logins.check("ada", "no", HERE),
        logins.check("eve", "", "::"),
    ]

    assert answers == [Account("ada", Role.WRITE, password_hash), None, None]


def test_an_unknown_login_takes_as_long_as_a_wrong_password(logins: Logins, hasher: Hasher) -> None:
    logins.check("eve", "guess", HERE)

    assert hasher.asked == [NOBODYS_HASH]


def test_a_right_password_is_checked_again_five_minutes_after_its_last_use(
    logins: Logins, hasher: Hasher, clock: Clock
) -> None:
    checks = []
    for clock.now in (0.0, 299.0, 598.0, 899.0):
        assert logins.check("ada", "secret", HERE)
        checks.append(len(hasher.asked))

    assert checks == [1, 1, 1, 2]


def test_a_wrong_password_is_never_remembered(logins: Logins, hasher: Hasher) -> None:
    answers = [logins.check("ada", "guess", HERE), logins.check("ada", "guess", HERE)]

    assert answers == [None, None]
    assert len(hasher.asked) == 2


def test_a_changed_password_ends_the_old_one_at_once(logins: Logins, stored: Stored) -> None:
    assert logins.check("ada", "secret", HERE)

    stored.hashes["ada"] = "new"

    assert not logins.check("ada", "secret", HERE)


def test_a_removed_account_ends_at_once(logins: Logins, stored: Stored) -> None:
    assert logins.check("ada", "secret", HERE)

    stored.hashes.clear()

    assert not logins.check("ada", "secret", HERE)


@pytest.mark.usefixtures("caplog")
def test_after_some_wrong_passwords_the_next_ones_wait_ever_longer(
    logins: Logins, clock: Clock
) -> None:
    looked_at = [guess_until_refused(logins)]
    for pause_s in (1, 2, 4, 8):
        clock.now += pause_s
        looked_at.append(guess_until_refused(logins))

    assert looked_at == [FREE_GUESSES, 1, 1, 1, 1]


@pytest.mark.usefixtures("caplog")
def test_a_right_password_has_to_wait_too_and_is_told_how_long(logins: Logins) -> None:
    guess_until_refused(logins)

    with pytest.raises(TooManyGuessesError, match="try again in 2 s") as refused:
        logins.check("ada", "secret", HERE)

    assert refused.value.pause_s == 2


@pytest.mark.usefixtures("caplog")
@pytest.mark.parametrize(("login", "address"), [("ada", THERE), ("bob", HERE)])
def test_guesses_hinder_neither_another_address_nor_another_account(
    logins: Logins, stored: Stored, login: str, address: str
) -> None:
    stored.hashes["bob"] = "secret"
    guess_until_refused(logins, "ada", HERE)

    assert logins.check(login, "secret", address)


@pytest.mark.usefixtures("caplog")
def test_guesses_do_not_hinder_who_is_known_already(logins: Logins) -> None:
    logins.check("ada", "secret", HERE)
    guess_until_refused(logins)

    assert logins.check("ada", "secret", HERE)


def test_an_old_hash_is_replaced_at_the_first_good_login(
    logins: Logins, stored: Stored, hasher: Hasher
) -> None:
    stored.hashes["ada"] = "salt" + passwords.old_digest("secret")

    wrong = logins.check("ada", "guess", HERE)
    old = stored.hashes["ada"]
    right = logins.check("ada", "secret", HERE)

    assert wrong is None
    assert old.startswith("salt")
    assert right
    assert stored.hashes["ada"] == right.password_hash
    assert HASHER.verify(right.password_hash, "secret")


def test_after_the_replacement_the_login_is_remembered(
    logins: Logins, stored: Stored, hasher: Hasher
) -> None:
    stored.hashes["ada"] = passwords.old_digest("secret")
    logins.check("ada", "secret", HERE)

    assert logins.check("ada", "secret", HERE)
    assert hasher.asked == []


def test_more_than_a_few_waiting_checks_are_refused(logins: Logins, hasher: Hasher) -> None:
    hasher.may_go_on.clear()

    with ThreadPoolExecutor(3 + MOST_LOGINS_WAITING) as callers:
        asked = [
            callers.submit(logins.check, "ada", "no", HERE) for _ in range(3 + MOST_LOGINS_WAITING)
        ]
        finished = as_completed(asked, timeout=DEADLINE_S)
        refused = [next(finished), next(finished)]
        hasher.may_go_on.set()

    assert [type(future.exception()) for future in refused] == [RefusedError] * 2
    assert [f.result() for f in asked if f not in refused] == [None] * (1 + MOST_LOGINS_WAITING)


def test_checks_by_several_threads_leave_no_memory_behind(password_hash: str) -> None:
    logins = Logins(Stored(ada=password_hash))
    before_mb = resident_mb()

    with ThreadPoolExecutor(1 + MOST_LOGINS_WAITING) as callers:
        list(callers.map(logins.check, ["ada"] * 5, ["guess"] * 5, [HERE] * 5))

    assert resident_mb() - before_mb < 30


@pytest.mark.parametrize(
    ("login", "password"), [("ada\0", "x"), ("a" * 256, "x"), ("ada", "x" * 1001)]
)
def test_what_nobody_can_have_does_not_reach_the_database(
    hasher: Hasher, login: str, password: str
) -> None:
    logins = Logins(None)  # type: ignore[arg-type]  # it would raise

    assert logins.check(login, password, HERE) is None
    assert hasher.asked == []
