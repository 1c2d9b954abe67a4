"""Who sends the request that CherryPy has in hand, and whether they may."""

import ipaddress
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import cherrypy

from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.records import Account, Role
from cw_mqtt.web.auth import Accounts, Logins, Tokens
from cw_mqtt.web.credentials import (
    basic_credentials,
    bearer_token,
    browser_in,
    cookie,
    form_credentials,
    key_hash,
    new_key,
)
from cw_mqtt.web.endpoints import RefusedError

# Our pages' scripts send it, with any value. Another site's page cannot: browsers would ask us
# first whether it may, and we never answer that.
SCRIPT_HEADER = "X-Requested-With"
COOKIE = "cw-mqtt"  # and the installation, since cookies do not tell ports apart
RAW_COOKIE = "cw_mqtt.cookie"  # in the WSGI environment, hidden from CherryPy
BASE = "cw_mqtt.base"  # in the WSGI environment
BELIEVED_S = 3600.0
MOST_SEEN = 100
LONGEST_AGE_S = 400 * 86400  # the most that browsers keep; the session ends earlier by itself

# What proxies say of their callers, each in its way.
FORWARDED = {"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"}

NO_LOGIN = "A login is needed: Basic, Bearer, or the form fields login and password."
WRONG_LOGIN = "The login or the password is wrong."
WRONG_TOKEN = "There is no such token. cw-mqtt user token list shows all."  # noqa: S105 - words


PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")


class Proxies:
    """Believes what the `trusted` addresses and networks say of their callers, and nobody else.

    `base_path` is the path below which the site is shown when no proxy says so.
    """

    def __init__(self, trusted: Iterable[str], base_path: str = "") -> None:
        self._base_path = base_path
        self._trusted = [ipaddress.ip_network(each, strict=False) for each in trusted]

    def address(self, peer: str, forwarded_for: str) -> str:
        """The caller's address: the last one in `X-Forwarded-For` that no trusted proxy has.

        What stands before it may be made up by the caller.
        """
        address = normal(peer) or peer
        for told in reversed(forwarded_for.split(",")):
            if not self._is_trusted(address) or not (told_address := normal(told)):
                break
            address = told_address
        return address

    def scheme(self, peer: str, scheme: str, forwarded_proto: str) -> str:
        """`https` when the caller speaks TLS with us or with a trusted proxy, else `http`."""
        if forwarded_proto and self._is_trusted(peer):
            scheme = forwarded_proto.rpartition(",")[2].strip().lower()
        return "https" if scheme == "https" else "http"

    def base_path(self, peer: str, forwarded_prefix: str) -> str:
        """Below which path a trusted proxy shows this site, else the one of the settings."""
        told = forwarded_prefix.strip().rstrip("/")
        is_told = told and self._is_trusted(peer) and PREFIX.fullmatch(told)
        return told if is_told else self._base_path

    def _is_trusted(self, address: str) -> bool:
        found = normal(address)
        return found is not None and any(
            ipaddress.ip_address(found) in network for network in self._trusted
        )


@lru_cache
def normal(address: str) -> str | None:
    """An IP address in its usual form, None for anything else."""
    try:
        ip = ipaddress.ip_address(address.strip().partition("%")[0])
    except ValueError:
        return None
    return str(getattr(ip, "ipv4_mapped", None) or ip)


@dataclass(frozen=True, slots=True)
class Caller:
    """A user or a program; `by_cookie` a browser, which another site may have sent here.

    `to_write` is the command that lets it write too.
    """

    name: str
    role: Role
    to_write: str
    by_cookie: bool = False


def of_user(account: Account, *, by_cookie: bool = False) -> Caller:
    """A user as a caller."""
    to_write = f"user role {account.login} write"
    return Caller(account.login, account.role, to_write, by_cookie=by_cookie)


class NotLetInError(RefusedError):
    """Nobody that we know; the status is for a GET."""

    def __init__(self, text: str) -> None:
        super().__init__(401, text)


class Access:
    """Finds the caller by form, header or cookie, and keeps sessions.

    `installation` gives the name that tells this bridge from others on the same host. While
    `is_database_away` nobody has to wait until it does not answer.
    """

    def __init__(
        self,
        logins: Logins,
        accounts: Accounts,
        tokens: Tokens,
        proxies: Proxies,
        installation: Callable[[], str],
        is_database_away: Callable[[], bool],
    ) -> None:
        self._logins = logins
        self._accounts = accounts
        self._tokens = tokens
        self._proxies = proxies
        self._installation = installation
        self._is_database_away = is_database_away
        self._seen: dict[str, tuple[Account, float]] = {}  # by hash of the key, the newest last

    def require(self, fields: Mapping[str, str]) -> Caller:
        """Who it is; `fields` are those of its form.

        Raises `NotLetInError`, `TooManyGuessesError`, and `RefusedError` when the database is
        unavailable.
        """
        authorization = cherrypy.request.headers.get("Authorization", "")
        if credentials := form_credentials(fields) or basic_credentials(authorization):
            account = self.log_in(*credentials)
            return of_user(account)
        if token := bearer_token(authorization):
            with self._reachable():
                found = self._tokens.find(key_hash(token))
            if not found:
                raise NotLetInError(WRONG_TOKEN)
            return Caller(f"token {found.name}", found.role, f"user token role {found.name} write")
        if owner := self.session():
            return of_user(owner, by_cookie=True)
        raise NotLetInError(NO_LOGIN)

    def log_in(self, login: str, password: str) -> Account:
        """The account, when this is its password. Raises as `require`."""
        with self._reachable():
            account = self._logins.check(login, password, self.address())
        if not account:
            raise NotLetInError(WRONG_LOGIN)
        return account

    def session(self) -> Account | None:
        """Whose browser it is, None for one that is not logged in.

        While the database is unavailable nobody can change that, and who was seen within the hour
        still sees what the pages know without it.
        """
        if not (key := self._session_key()):
            return None
        hashed, now_s = key_hash(key), time.monotonic()
        try:
            with self._reachable():
                found = self._accounts.session(hashed)
        except RefusedError:
            account, seen_s = self._seen.get(hashed, (None, 0.0))
            if account is None or now_s - seen_s > BELIEVED_S:
                raise
            return account
        self._seen.pop(hashed, None)
        if found:
            self._seen[hashed] = found, now_s
            if len(self._seen) > MOST_SEEN:
                self._seen.pop(next(iter(self._seen)), None)
        return found

    def begin_session(self, owner: Account) -> None:
        """Let this browser be that user, instead of whose it was."""
        self.end_session()
        key = new_key()
        browser = browser_in(cherrypy.request.headers.get("User-Agent", ""))
        self._accounts.begin_session(owner, key_hash(key), self.address(), browser)
        self._set_cookie(key, LONGEST_AGE_S)

    def end_session(self) -> None:
        """Log this browser out."""
        if key := self._session_key():
            self._accounts.end_session(key_hash(key))
            self._seen.pop(key_hash(key), None)
        self._set_cookie("", 0)

    def address(self) -> str:
        """The caller's address, as far as it can be believed."""
        request = cherrypy.request
        forwarded = request.headers.get("X-Forwarded-For", "")
        return self._proxies.address(request.remote.ip, forwarded)

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        """Tell who is not known yet that the database is unavailable, and not where it is."""
        try:
            if self._is_database_away():
                raise ResourceAwayError("it did not answer a moment ago")
            yield
        except ResourceAwayError as error:
            raise RefusedError(503, "The database is unavailable; try again later.") from error

    def _is_tls(self) -> bool:
        request = cherrypy.request
        forwarded = request.headers.get("X-Forwarded-Proto", "")
        return self._proxies.scheme(request.remote.ip, request.scheme, forwarded) == "https"

    def _cookie_name(self) -> str:
        name = f"{COOKIE}-{self._installation()}"
        if not self._is_tls():
            return name
        # so named, browsers take it from nobody else: not over plain HTTP, nor, where it is for
        # all paths, from a neighbouring host
        return f"__Secure-{name}" if base_path() else f"__Host-{name}"

    def _session_key(self) -> str | None:
        return cookie(cherrypy.request.wsgi_environ[RAW_COOKIE], self._cookie_name())

    def _set_cookie(self, value: str, max_age_s: int) -> None:
        parts = [f"{self._cookie_name()}={value}", f"Path={base_path() or '/'}"]
        parts += [f"Max-Age={max_age_s}", "HttpOnly", "SameSite=Lax"]
        parts += ["Secure"] * self._is_tls()
        cherrypy.response.headers["Set-Cookie"] = "; ".join(parts)


def is_local() -> bool:
    """Whether the caller is a program on this computer, and speaks for nobody else."""
    request = cherrypy.request
    is_loopback = ipaddress.ip_address(request.remote.ip.partition("%")[0]).is_loopback
    return is_loopback and FORWARDED.isdisjoint(name.lower() for name in request.headers)


def base_path() -> str:
    """The path below which the caller sees this site, such as `/meter`; empty for all of a host."""
    return str(cherrypy.request.wsgi_environ[BASE])


def refuse_other_sites() -> None:
    """Raise `RefusedError` when the page of another site has a browser send this."""
    if cherrypy.request.headers.get("Sec-Fetch-Site", "").lower() == "cross-site":
        raise RefusedError(403, "this request comes from another site's page; nothing was changed")


def refuse_change(caller: Caller) -> None:
    """Raise `RefusedError` when this caller may not insert or delete measures."""
    refuse_other_sites()
    if caller.role is not Role.WRITE:
        raise RefusedError(
            403, f"{caller.name} may only read; to let it write: cw-mqtt {caller.to_write}"
        )
    if caller.by_cookie and SCRIPT_HEADER not in cherrypy.request.headers:
        raise RefusedError(403, f"with a cookie, a change needs the header {SCRIPT_HEADER} too")
