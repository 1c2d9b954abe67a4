"""Passwords: what is stored of them, and whether one fits."""

import ctypes
import hashlib
import hmac
import re
from contextlib import suppress
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cw_mqtt.errors import UsageError

LONGEST_LOGIN = 255  # what its column takes
SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 1000
FEWEST_CHARACTERS = 4  # different ones
COMMON_FILE = Path(__file__).with_name("common_passwords.txt")  # what is tried first everywhere

# The argon2id of OWASP's Password Storage Cheat Sheet that takes least memory, and as long as the
# others; the library's defaults take 64 MiB and four threads for each check.
PASSES, MEMORY_KIB = 5, 7 * 1024
HASHER = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1)
# No password has this hash: an unknown login takes as long as a wrong password.
NOBODYS_HASH = f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${'A' * 22}${'A' * 43}"
# The old base's: a salt, the same for all, that was never mixed in; then SHA-256.
OLD_HASH = re.compile(r"[0-9a-f]{64}\Z")

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # <malloc.h>
LARGE_BLOCK_BYTES = 1024 * 1024


def refuse_unusable(login: str, password: str) -> None:
    """Raise `UsageError` in words when no account should be made of these."""
    # HTTP's login (RFC 7617) has no other way to say where a login ends
    if ":" in login or not (login and password and (login + password).isprintable()):
        raise UsageError("expected a login and a password of printable characters, no : in a login")
    if len(login) > LONGEST_LOGIN:
        raise UsageError(f"expected a login of at most {LONGEST_LOGIN} characters")
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise UsageError(
            f"expected a password of {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"
        )
    if (
        password.lower() in COMMON_FILE.read_text(encoding="utf-8").split()
        or password.lower() == login.lower()
        or len(set(password)) < FEWEST_CHARACTERS
    ):
        raise UsageError("expected another password: this one is easily guessed")


def hash_password(password: str) -> str:
    """What to store of a password: argon2id, with a salt of its own."""
    return HASHER.hash(password)


def is_old(password_hash: str) -> bool:
    """Whether the old base wrote it; to be replaced when the password is known."""
    return OLD_HASH.search(password_hash) is not None


def fits(password_hash: str, password: str) -> bool:
    """Whether it is the hash of this password; takes 7 MiB and tens of milliseconds."""
    if is_old(password_hash):
        if hmac.compare_digest(password_hash[-64:], old_digest(password)):
            return True
        password_hash = NOBODYS_HASH  # takes as long as a wrong password anywhere else
    try:
        return HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def old_digest(password: str) -> str:
    """SHA-256 as the old base took it: its UTF-8 was read as Latin-1 and encoded once more."""
    misread = password.encode().decode("latin-1")
    return hashlib.sha256(misread.encode()).hexdigest()


def give_memory_back() -> None:
    """Have the memory of each check and of each long list given back to the system.

    glibc keeps freed blocks of this size, one for each thread: 80 MB more after five logins
    (mallopt(3), "dynamic mmap threshold"); and smaller ones in an arena of each thread. C libraries
    without `mallopt` do not.
    """
    with suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
        mallopt(M_ARENA_MAX, 1)
