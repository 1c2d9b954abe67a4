"""Logins: who may see the page and call the API."""

import base64
import ctypes
import hashlib
import hmac
import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from email.message import Message
from urllib.parse import parse_qsl

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cw_mqtt.errors import ResourceAwayError

REMEMBERED_S = 300.0
# Fewer than the threads of the web server: a flood of wrong passwords leaves some for the others.
MOST_WAITING = 4

# OWASP's smallest argon2id; the library's defaults take 64 MiB and four threads for each check.
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# No password has this hash: an unknown login takes as long as a wrong password.
NOBODYS_HASH = f"$argon2id$v=19$m={19 * 1024},t=2,p=1${'A' * 22}${'A' * 43}"

M_MMAP_THRESHOLD = -3  # <malloc.h>
LARGE_BLOCK_BYTES = 1024 * 1024

MOST_FIELDS = 20
FIELD_NAME = re.compile(rb'(?i)content-disposition:[^\r\n]*\bname="?([^";\r\n]*)')
CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")


def hash_password(password: str) -> str:
    """What to store of a password: argon2id, with a salt of its own."""
    return HASHER.hash(password)


def basic_credentials(authorization: str | None) -> tuple[str, str] | None:
    """Login and password of an `Authorization: Basic` header (RFC 7617), None without one."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        login, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (login, password) if colon else None


def form_credentials(content_type: str, body: bytes) -> tuple[str, str] | None:
    """Login and password of a form, None without them.

    Whatever is not multipart is read as urlencoded: known clients call theirs JSON.
    """
    multipart = content_type.lower().startswith("multipart/")
    fields = multipart_fields(content_type, body) if multipart else urlencoded_fields(body)
    if "login" not in fields or "password" not in fields:
        return None
    return fields["login"], fields["password"]


def urlencoded_fields(body: bytes) -> dict[str, str]:
    """The fields of an urlencoded form; none when there are too many."""
    try:
        text = body.decode(errors="replace")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        return {}


def multipart_fields(content_type: str, body: bytes) -> dict[str, str]:
    """The fields of a multipart form (RFC 7578), as texts."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = str(header.get_boundary("")).encode(errors="replace")
    fields = {}
    for part in body.split(b"--" + boundary, MOST_FIELDS)[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        if name := FIELD_NAME.search(head):
            fields[name[1].decode(errors="replace")] = content.removesuffix(b"\r\n").decode(
                errors="replace"
            )
    return fields


class Login:
    """Checks logins against the stored hashes; every method may be called from any thread.

    `find_password_hash` gives the stored hash of a login, None for an unknown one; it raises
    `ResourceAwayError` when the database is away. `monotonic` is a clock in seconds.
    """

    def __init__(
        self,
        find_password_hash: Callable[[str], str | None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        map_large_blocks()
        self._find_password_hash = find_password_hash
        self._monotonic = monotonic
        self._secret = secrets.token_bytes(32)
        self._places = threading.BoundedSemaphore(1 + MOST_WAITING)
        self._one_at_a_time = threading.Lock()
        self._remembered_until_s: dict[bytes, float] = {}

    def check(self, login: str, password: str) -> bool:
        """Whether this is the password of that login.

        A right answer is remembered for five minutes, for as long as the stored hash stays the
        same. Raises `ResourceAwayError` when the database is away, or when too many wait.
        """
        # RFC 7617 forbids them in a login, and PostgreSQL refuses a query with a NUL
        if CONTROL_CHARACTER.search(login):
            return False
        password_hash = self._find_password_hash(login) or NOBODYS_HASH
        proof = self._proof(login, password, password_hash)
        if self._remembered_until_s.get(proof, 0.0) > self._monotonic():
            return True
        if not self._verify(password_hash, password):
            return False
        self._remember(proof)
        return True

    def _proof(self, *parts: str) -> bytes:
        """A keyed hash of what was checked: neither the memory nor a dump of it has passwords."""
        return hmac.digest(self._secret, json.dumps(parts).encode(), hashlib.sha256)

    def _verify(self, password_hash: str, password: str) -> bool:
        """One check at a time: each takes 19 MiB, and a small board has few cores."""
        if not self._places.acquire(blocking=False):
            raise ResourceAwayError("too many logins are being checked; try again in a second")
        try:
            with self._one_at_a_time:
                return HASHER.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False
        finally:
            self._places.release()

    def _remember(self, proof: bytes) -> None:
        """Forget the outdated ones too; a new dictionary, so that readers need no lock."""
        now_s = self._monotonic()
        with self._one_at_a_time:
            kept = {
                p: until_s for p, until_s in self._remembered_until_s.items() if until_s > now_s
            }
            self._remembered_until_s = kept | {proof: now_s + REMEMBERED_S}


def map_large_blocks() -> None:
    """Have the memory of each check given back to the system.

    glibc keeps freed blocks of this size, one for each thread: 80 MB more after five logins
    (mallopt(3), "dynamic mmap threshold"). C libraries without `mallopt` do not.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
