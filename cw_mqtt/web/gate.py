"""Who sends the request that CherryPy has in hand, and whether they may."""

from collections.abc import Mapping
from dataclasses import dataclass

import cherrypy

from cw_mqtt.model import Account, Role
from cw_mqtt.web.auth import Accounts, Logins, Tokens
from cw_mqtt.web.credentials import basic_credentials, bearer_token, cookie, form_credentials
from cw_mqtt.web.endpoints import RefusedError
from cw_mqtt.web.proxies import Proxies
from cw_mqtt.web.random_keys import key_hash, new_key

# Our pages' scripts send it, with any value. Another site's page cannot: browsers would ask us
# first whether it may, and we never answer that.
SCRIPT_HEADER = "X-Requested-With"
COOKIE = "cw-mqtt"
RAW_COOKIE = "cw_mqtt.cookie"  # in the WSGI environment, hidden from CherryPy
LONGEST_AGE_S = 400 * 86400  # the most that browsers keep; the session ends earlier by itself

NO_LOGIN = "A login is needed: Basic, Bearer, or the form fields login and password."
WRONG_LOGIN = "The login or the password is wrong."
WRONG_TOKEN = "There is no such token. cw-mqtt user token list shows all."  # noqa: S105 - words


@dataclass(frozen=True, slots=True)
class Caller:
    """A user or a program; `by_cookie` a browser, which another site may have sent here."""

    name: str
    role: Role
    by_cookie: bool = False


class NotLetInError(RefusedError):
    """Nobody that we know; the status is for a GET."""

    def __init__(self, text: str) -> None:
        super().__init__(401, text)


class Gate:
    """Finds the caller by form, header or cookie, and keeps sessions."""

    def __init__(
        self, logins: Logins, accounts: Accounts, tokens: Tokens, proxies: Proxies
    ) -> None:
        self._logins = logins
        self._accounts = accounts
        self._tokens = tokens
        self._proxies = proxies

    def require(self, fields: Mapping[str, str]) -> Caller:
        """Who it is; `fields` are those of its form.

        Raises `NotLetInError`, `TooManyGuessesError`, and `ResourceAwayError` when the database
        is away.
        """
        authorization = cherrypy.request.headers.get("Authorization", "")
        if credentials := form_credentials(fields) or basic_credentials(authorization):
            account = self.log_in(*credentials)
            return Caller(account.login, account.role)
        if token := bearer_token(authorization):
            found = self._tokens.find(key_hash(token))
            if not found:
                raise NotLetInError(WRONG_TOKEN)
            return Caller(found.name, found.role)
        if owner := self.session():
            return Caller(owner.login, owner.role, by_cookie=True)
        raise NotLetInError(NO_LOGIN)

    def log_in(self, login: str, password: str) -> Account:
        """The account, when this is its password. Raises as `require`."""
        account = self._logins.check(login, password, self.address())
        if not account:
            raise NotLetInError(WRONG_LOGIN)
        return account

    def session(self) -> Account | None:
        """Whose browser it is, None for one that is not logged in."""
        key = self._session_key()
        return self._accounts.session(key_hash(key)) if key else None

    def begin_session(self, owner: Account) -> None:
        """Let this browser be that user, instead of whose it was."""
        self.end_session()
        key = new_key()
        self._accounts.begin_session(owner, key_hash(key))
        self._set_cookie(key, LONGEST_AGE_S)

    def end_session(self) -> None:
        """Log this browser out."""
        if key := self._session_key():
            self._accounts.end_session(key_hash(key))
        self._set_cookie("", 0)

    def address(self) -> str:
        """The caller's address, as far as it can be believed."""
        request = cherrypy.request
        forwarded = request.headers.get("X-Forwarded-For", "")
        return self._proxies.address(request.remote.ip, forwarded)

    def _is_tls(self) -> bool:
        request = cherrypy.request
        forwarded = request.headers.get("X-Forwarded-Proto", "")
        return self._proxies.scheme(request.remote.ip, request.scheme, forwarded) == "https"

    def _cookie_name(self) -> str:
        # with this prefix browsers take it from nobody else, not from a neighbouring host either
        return f"__Host-{COOKIE}" if self._is_tls() else COOKIE

    def _session_key(self) -> str | None:
        return cookie(cherrypy.request.wsgi_environ[RAW_COOKIE], self._cookie_name())

    def _set_cookie(self, value: str, max_age_s: int) -> None:
        parts = [f"{self._cookie_name()}={value}", "Path=/", f"Max-Age={max_age_s}", "HttpOnly"]
        parts += ["SameSite=Strict"] + ["Secure"] * self._is_tls()
        cherrypy.response.headers["Set-Cookie"] = "; ".join(parts)


def refuse_change(caller: Caller) -> None:
    """Raise `RefusedError` when this caller may not insert or delete measures."""
    if caller.role is not Role.WRITE:
        raise RefusedError(
            403, f"{caller.name} may only read; cw-mqtt user role lets a user write as well"
        )
    if caller.by_cookie and SCRIPT_HEADER not in cherrypy.request.headers:
        raise RefusedError(403, f"with a cookie, a change needs the header {SCRIPT_HEADER} too")
