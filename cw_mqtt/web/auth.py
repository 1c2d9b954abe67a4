"""Logins: who may see the page and call the API."""

import hashlib
import hmac
import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from cw_mqtt.errors import BridgeError
from cw_mqtt.records import Account, Role, Token
from cw_mqtt.web.passwords import (
    LONGEST_LOGIN,
    LONGEST_PASSWORD,
    NOBODYS_HASH,
    fits,
    give_memory_back,
    hash_password,
    is_old,
)
from cw_mqtt.web.throttle import Throttle, Turns, network_of

REMEMBERED_S = 300.0
# Fewer than the threads of the web server: a flood of wrong passwords leaves some for the others.
MOST_LOGINS_WAITING = 4

CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")


class Accounts(Protocol):
    """The users in the database; each raises `ResourceAwayError` while it is unavailable."""

    def find(self, login: str) -> Account | None:
        """The account of a login."""

    def exist(self) -> bool:
        """Whether there is any account."""

    def ever_existed(self) -> bool:
        """Whether there is any account, or has been."""

    def add(self, login: str, password_hash: str, role: Role) -> None:
        """Make an account."""

    def replace_hash(self, old: Account, password_hash: str) -> None:
        """Store the same password's hash in a better form."""

    def begin_session(self, owner: Account, key_hash: str, address: str, browser: str) -> None:
        """Let whoever has this key be that user."""

    def session(self, key_hash: str) -> Account | None:
        """Whose session this is."""

    def end_session(self, key_hash: str) -> None:
        """Forget a session."""


class Tokens(Protocol):
    """The tokens in the database; raises `ResourceAwayError` while it is unavailable."""

    def find(self, key_hash: str) -> Token | None:
        """The token with this hash."""


class TooManyGuessesError(BridgeError):
    """Too many wrong passwords; `pause_s` is how long to wait."""

    def __init__(self, pause_s: float) -> None:
        self.pause_s = int(pause_s) + 1
        super().__init__(f"Too many wrong passwords; try again in {self.pause_s} s.")


class Logins:
    """Checks passwords against the stored hashes; every method may be called from any thread.

    `count` takes what is to be counted: `wrong_passwords`, and `paused_logins` that were told to
    wait. `monotonic` is a clock in seconds.
    """

    def __init__(
        self,
        accounts: Accounts,
        monotonic: Callable[[], float] = time.monotonic,
        count: Callable[[str], None] = lambda what: None,
    ) -> None:
        give_memory_back()
        self._accounts = accounts
        self._monotonic = monotonic
        self._count = count
        self._throttle = Throttle(monotonic)
        self._secret = secrets.token_bytes(32)
        self._turns = Turns(MOST_LOGINS_WAITING)
        self._one_writer = threading.Lock()
        self._remembered_until_s: dict[bytes, float] = {}

    def check(self, login: str, password: str, address: str) -> Account | None:
        """The account if this is its password; `address` is the caller's.

        A right answer is remembered until five minutes after its last use, for as long as the
        stored hash stays the same; such a caller is never slowed down. Raises
        `TooManyGuessesError`, and `ResourceAwayError` without a database or when too many wait.
        """
        # RFC 7617 forbids them in a login, and PostgreSQL refuses a query with a NUL
        if CONTROL_CHARACTER.search(login) or len(login) > LONGEST_LOGIN:
            return None
        if len(password) > LONGEST_PASSWORD:
            return None
        account = self._accounts.find(login)
        if account and self._is_remembered(account, password):
            return account
        if pause_s := self._throttle.pause_s(login, address):
            self._count("paused_logins")
            raise TooManyGuessesError(pause_s)
        # each check takes 7 MiB, and a small board has few cores
        with self._turns.turn(network_of(address)):
            is_right = fits(account.password_hash if account else NOBODYS_HASH, password)
        if not is_right:
            self._count("wrong_passwords")
            self._throttle.wrong(login, address)
            return None
        self._throttle.right(login, address)
        return self._remember(account, password) if account else None

    def _proof(self, account: Account, password: str) -> bytes:
        """A keyed hash of what was checked: neither the memory nor a dump of it has passwords."""
        parts = [account.login, password, account.password_hash]
        return hmac.digest(self._secret, json.dumps(parts).encode(), hashlib.sha256)

    def _is_remembered(self, account: Account, password: str) -> bool:
        proof, now_s = self._proof(account, password), self._monotonic()
        if self._remembered_until_s.get(proof, 0.0) <= now_s:
            return False
        self._remembered_until_s[proof] = now_s + REMEMBERED_S
        return True

    def _remember(self, account: Account, password: str) -> Account:
        """The account, after a better hash took the place of an old base's.

        The outdated are forgotten; in a new dictionary, so that readers need no lock.
        """
        with self._one_writer:
            if is_old(account.password_hash):
                better = replace(account, password_hash=hash_password(password))
                self._accounts.replace_hash(account, better.password_hash)
                account = better
            now_s = self._monotonic()
            kept = {p: s for p, s in self._remembered_until_s.items() if s > now_s}
            proof = self._proof(account, password)
            self._remembered_until_s = kept | {proof: now_s + REMEMBERED_S}
        return account
