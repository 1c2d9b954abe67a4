"""Logins: values, and threads where it is about how many may check at once."""

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

import pytest
from argon2 import extract_parameters

from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.health import resident_mb
from cw_mqtt.web import auth
from cw_mqtt.web.auth import (
    HASHER,
    MOST_WAITING,
    NOBODYS_HASH,
    Login,
    basic_credentials,
    hash_password,
)
from tests.web.site import ADA, database_away


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


@pytest.fixture
def hasher(monkeypatch: pytest.MonkeyPatch) -> Hasher:
    hasher = Hasher()
    monkeypatch.setattr(auth, "HASHER", hasher)
    return hasher


def test_only_the_right_password_of_a_known_login_passes(hashes: dict[str, str]) -> None:
    login = Login(hashes.get)

    answers = [login.check(*ADA), login.check("ada", "wrong"), login.check("eve", ADA[1])]

    assert answers == [True, False, False]


def test_a_hash_is_argon2id_with_19_mib_and_its_own_salt() -> None:
    first, second = hash_password("same"), hash_password("same")

    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second


def test_a_stored_hash_of_another_kind_lets_nobody_in() -> None:
    login = Login({"ada": "5f4dcc3b5aa765d61d8327deb882cf99"}.get)

    assert not login.check("ada", "password")


def test_an_unknown_login_takes_as_long_as_a_wrong_password(hasher: Hasher) -> None:
    Login({}.get).check("eve", "guess")

    assert hasher.asked == [NOBODYS_HASH]
    assert extract_parameters(NOBODYS_HASH) == extract_parameters(hash_password("any"))


def test_a_right_password_is_checked_once_in_five_minutes(hasher: Hasher) -> None:
    now_s = 0.0
    login = Login({"ada": "secret"}.get, lambda: now_s)

    login.check("ada", "secret")
    now_s = 299.0
    login.check("ada", "secret")
    checks_before = len(hasher.asked)
    now_s = 301.0
    login.check("ada", "secret")

    assert (checks_before, len(hasher.asked)) == (1, 2)


def test_a_wrong_password_is_never_remembered(hasher: Hasher) -> None:
    login = Login({"ada": "secret"}.get)

    answers = [login.check("ada", "guess"), login.check("ada", "guess")]

    assert answers == [False, False]
    assert len(hasher.asked) == 2


def test_a_changed_password_ends_the_old_one_at_once(hasher: Hasher) -> None:
    stored = {"ada": "old"}
    login = Login(stored.get)
    assert login.check("ada", "old")

    stored["ada"] = "new"

    assert not login.check("ada", "old")


def test_a_removed_account_ends_at_once(hasher: Hasher) -> None:
    stored = {"ada": "secret"}
    login = Login(stored.get)
    assert login.check("ada", "secret")

    stored.clear()

    assert not login.check("ada", "secret")


def test_more_than_a_few_waiting_checks_are_refused(hasher: Hasher) -> None:
    login = Login({"ada": "secret"}.get)
    hasher.may_go_on.clear()

    with ThreadPoolExecutor(3 + MOST_WAITING) as callers:
        asked = [callers.submit(login.check, "ada", "guess") for _ in range(3 + MOST_WAITING)]
        finished = as_completed(asked, timeout=5)
        refused = [next(finished), next(finished)]
        hasher.may_go_on.set()

    assert [type(future.exception()) for future in refused] == [ResourceAwayError] * 2
    assert [f.result() for f in asked if f not in refused] == [False] * (1 + MOST_WAITING)


def test_checks_by_several_threads_leave_no_memory_behind(hashes: dict[str, str]) -> None:
    login = Login(hashes.get)
    before_mb = resident_mb()

    with ThreadPoolExecutor(1 + MOST_WAITING) as callers:
        list(callers.map(login.check, ["ada"] * 5, ["guess"] * 5))

    assert resident_mb() - before_mb < 30


def test_a_login_with_a_control_character_does_not_reach_the_database() -> None:
    login = Login(database_away)

    assert not login.check("ada\0", "secret")


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        ("Basic YWRhOnNlY3JldA==", ("ada", "secret")),
        ("basic YWRhOnNlY3JldA==", ("ada", "secret")),
        ("Basic YWRhOmE6Yg==", ("ada", "a:b")),
        ("Basic YWRhOsOp", ("ada", "é")),
        ("Basic YWRhOg==", ("ada", "")),
        ("Basic YWRh", None),
        ("Basic !!!!", None),
        ("Basic YWRhOuk=", None),
        ("Basic", None),
        ("Bearer YWRhOnNlY3JldA==", None),
        ("", None),
        (None, None),
    ],
)
def test_credentials_are_read_as_rfc_7617_writes_them(
    authorization: str | None, expected: tuple[str, str] | None
) -> None:
    assert basic_credentials(authorization) == expected
