"""Passwords and their hashes, as values."""

import pytest
from argon2 import extract_parameters

from cw_mqtt.errors import UsageError
from cw_mqtt.web.passwords import NOBODYS_HASH, fits, hash_password, is_old, refuse_unusable

# made by sha256sum: of the second one the UTF-8 of "cafÃ©", as the old base misread it
SALT = "a salt of 64 hex digits or of any other form $argon2id$ "
OLD_HASHES = {
    "secret": "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
    "café": "1f023555bb6fbce86c7aeec637d90cfd5ba33c049e288794e3c09cf1227d8547",
}


def test_a_hash_is_argon2id_with_19_mib_and_its_own_salt() -> None:
    first, second = hash_password("same"), hash_password("same")

    assert first.startswith("$argon2id$v=19$m=7168,t=5,p=1$")
    assert first != second
    assert not is_old(first)


def test_nobodys_hash_takes_as_long_as_any() -> None:
    assert extract_parameters(NOBODYS_HASH) == extract_parameters(hash_password("any"))
    assert not fits(NOBODYS_HASH, "")


@pytest.mark.parametrize(("password", "digest"), OLD_HASHES.items())
@pytest.mark.parametrize("salt", ["", SALT, "sel\n"])
def test_an_old_hash_is_known_by_its_last_64_digits(password: str, digest: str, salt: str) -> None:
    assert is_old(salt + digest)
    assert fits(salt + digest, password)
    assert not fits(salt + digest, password + " ")


@pytest.mark.parametrize(
    "stored", ["", "5f4dcc3b5aa765d61d8327deb882cf99", "secret", "$argon2id$", "x" * 64]
)
def test_a_stored_hash_of_another_kind_lets_nobody_in(stored: str) -> None:
    assert not fits(stored, "password")
    assert not fits(stored, stored)


@pytest.mark.parametrize(
    ("login", "password", "expected"),
    [
        ("", "long enough", "printable"),
        ("a:b", "long enough", "printable"),
        ("a\nb", "long enough", "printable"),
        ("ada", "", "printable"),
        ("ada", "long\0enough", "printable"),
        ("ada", "long\udcffenough", "printable"),
        ("a" * 256, "long enough", "at most 255"),
        ("ada", "x" * 1001, "8 to 1000"),
        ("ada", "7 chars", "8 to 1000"),
        ("ada", "PassWord", "easily guessed"),
        ("lovelace", "Lovelace", "easily guessed"),
        ("ada", "abcabcabcabc", "easily guessed"),
    ],
)
def test_a_login_or_password_that_cannot_be_used_is_refused_in_words(
    login: str, password: str, expected: str
) -> None:
    with pytest.raises(UsageError, match=expected):
        refuse_unusable(login, password)


@pytest.mark.parametrize(("login", "password"), [("é" * 255, "8 chars."), ("a b", "üöäß" * 250)])
def test_any_other_login_and_password_can_be_used(login: str, password: str) -> None:
    refuse_unusable(login, password)
