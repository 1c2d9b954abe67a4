"""The first account, for which nobody can have logged in."""

import hmac
import logging
import secrets
import threading
import time
from collections.abc import Callable

from cw_mqtt.records import Account, Role
from cw_mqtt.web.auth import Accounts, TooManyGuessesError
from cw_mqtt.web.passwords import hash_password, refuse_unusable
from cw_mqtt.web.throttle import Throttle

log = logging.getLogger(__name__)


class FirstUser:
    """Lets whoever can read what the bridge prints make the first account on the page.

    The code for it is good once, and no longer than until there is an account, whoever made it.
    Once there was one, there is no code again. For any thread.
    """

    def __init__(self, accounts: Accounts, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._accounts = accounts
        self._throttle = Throttle(monotonic)
        self._one_at_a_time = threading.Lock()
        self._code: str | None = None
        self._is_void = False

    @property
    def is_wanted(self) -> bool:
        """Whether the code has been printed and is good still; asks no database."""
        return self._code is not None and not self._is_void

    def look(self) -> bool:
        """Print the code, once, while there is no account; whether there is none.

        Raises `ResourceAwayError` while the database is unavailable.
        """
        if not self._is_void and self._accounts.ever_existed():
            self._is_void = True
            if not self._accounts.exist():
                log.warning("nobody can log in: there is no user; make one: cw-mqtt user add NAME")
        with self._one_at_a_time:
            if self._code is None and not self._is_void:
                self._code = secrets.token_hex(8)
                log.warning(
                    "nobody can log in yet: make the first user on the page with the code %s, "
                    "or here with cw-mqtt user add NAME",
                    "-".join(self._code[i : i + 4] for i in range(0, 16, 4)),
                )
        return not self._is_void

    def make(self, code: str, login: str, password: str, address: str) -> Account | None:
        """Make the account; None when the code is wrong or there is an account by now.

        Raises `UsageError` for a login or password that cannot be used, `TooManyGuessesError`,
        and `ResourceAwayError`; `address` is the caller's.
        """
        if pause_s := self._throttle.pause_s("", address):
            raise TooManyGuessesError(pause_s)
        typed = "".join(filter(str.isalnum, code.lower()))
        with self._one_at_a_time:
            right = self._code and hmac.compare_digest(typed.encode(), self._code.encode())
            self._is_void = self._is_void or self._accounts.ever_existed()
            if not right or self._is_void:
                self._throttle.wrong("", address)
                return None
            refuse_unusable(login, password)
            self._accounts.add(login, hash_password(password), Role.WRITE)
            self._is_void = True
        log.info("the first user is %s", login)
        return self._accounts.find(login)
