"""One's own account: password, browsers, and the tokens of programs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from cw_mqtt.errors import UsageError
from cw_mqtt.records import Account, Role, Session, Token
from cw_mqtt.web import auth
from cw_mqtt.web.access import Access, NotLetInError
from cw_mqtt.web.credentials import key_hash, new_token
from cw_mqtt.web.endpoints import RefusedError
from cw_mqtt.web.page.house import House
from cw_mqtt.web.page.now import pill_of
from cw_mqtt.web.page.rendering import Visit, render
from cw_mqtt.web.passwords import hash_password, refuse_unusable

MOST_NAME = 64


class AccountStore(auth.Accounts, Protocol):
    """The accounts, as this page needs them beyond logging in."""

    def set_password(self, login: str, password_hash: str) -> None:
        """Replace a password, which ends the user's sessions."""

    def sessions(self, login: str) -> list[Session]:
        """The browsers in which somebody is logged in."""

    def end_sessions(self, login: str, number: int | None) -> int:
        """Log a user out of one browser, or for None of all."""

    def find(self, login: str) -> Account | None:
        """The account of this login."""


class TokenStore(auth.Tokens, Protocol):
    """The tokens, as this page needs them."""

    def all(self) -> list[Token]:
        """Every token, sorted by name."""

    def add(self, name: str, key_hash: str, role: Role) -> None:
        """Let a program in. Raises `UsageError` when the name is taken."""

    def remove(self, name: str) -> None:
        """Revoke a token. Raises `UsageError` when there is none."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a form has led to: what was done, or why not, and a token that is shown once."""

    words: str = ""
    problem: str = ""
    token: str = ""


class AccountPage:
    """Shows and changes what belongs to whoever is logged in, in a browser, never by token."""

    def __init__(
        self, house: House, access: Access, accounts: AccountStore, tokens: TokenStore
    ) -> None:
        self._house, self._access = house, access
        self._accounts, self._tokens = accounts, tokens
        self._forms: dict[str, Callable[[Account, Visit, Mapping[str, str]], Done]] = {
            "password": self._password,
            "end": self._end,
            "add_token": self._add_token,
            "remove_token": self._remove_token,
        }

    def html(self, visit: Visit) -> str:
        """The page. Raises `NotLetInError` for who is not logged in in a browser."""
        if not (owner := self._access.session()):
            raise NotLetInError("Log in with a browser to see your account.")
        return self._html(owner, visit, Done())

    def _html(self, owner: Account, visit: Visit, done: Done) -> str:
        t, now_ts = visit.t, self._house.clock()
        may_write = owner.role is Role.WRITE
        return render(
            "account.html",
            t,
            t("account"),
            here="account",
            pill=pill_of(self._house, t),
            is_demo=self._house.is_demo,
            logged_in=owner.login,
            role=t(f"role_{owner.role}"),
            may_write=may_write,
            sessions=[self._session(each, visit) for each in self._accounts.sessions(owner.login)],
            tokens=[
                {
                    "name": token.name,
                    "role": t(f"role_{token.role}"),
                    "used": t("ago", ago=t.ago(now_ts - token.used_ts)) if token.used_ts else "",
                }
                for token in (self._tokens.all() if may_write else ())
            ],
            done=done,
        )

    def change(self, visit: Visit, fields: Mapping[str, str]) -> str:
        """Do what a form says; mistakes are told on the page, and change nothing."""
        if not (owner := self._access.session()):
            raise NotLetInError("The session has ended: log in again.")
        form = self._forms.get(fields.get("do", ""))
        if form is None:
            raise RefusedError(400, "There is no such form.")
        try:
            done = form(owner, visit, fields)
        except (UsageError, NotLetInError, auth.TooManyGuessesError) as error:
            done = Done(problem=str(error))
        return self._html(owner, visit, done)

    def _password(self, owner: Account, visit: Visit, fields: Mapping[str, str]) -> Done:
        self._access.log_in(owner.login, fields.get("current", ""))
        new = fields.get("new", "")
        refuse_unusable(owner.login, new)
        self._accounts.set_password(owner.login, hash_password(new))
        if changed := self._accounts.find(owner.login):
            self._access.begin_session(changed)
        return Done(visit.t("password_changed"))

    def _end(self, owner: Account, visit: Visit, fields: Mapping[str, str]) -> Done:
        number = fields.get("session", "")
        if number and not number.isdecimal():
            raise UsageError("there is no such session")
        self._accounts.end_sessions(owner.login, int(number) if number else None)
        return Done(visit.t("sessions_ended"))

    def _add_token(self, owner: Account, visit: Visit, fields: Mapping[str, str]) -> Done:
        name, role = fields.get("name", "").strip(), fields.get("role", "")
        self._refuse_reader(owner)
        if not name or len(name) > MOST_NAME or not name.isprintable() or role not in list(Role):
            raise UsageError("a token needs a name of 1 to 64 letters, and the role read or write")
        token = new_token()
        self._tokens.add(name, key_hash(token), Role(role))
        return Done(visit.t("token_made", name=name), token=token)

    def _remove_token(self, owner: Account, visit: Visit, fields: Mapping[str, str]) -> Done:
        self._refuse_reader(owner)
        self._tokens.remove(fields.get("name", ""))
        return Done(visit.t("token_removed", name=fields.get("name", "")))

    def _refuse_reader(self, owner: Account) -> None:
        if owner.role is not Role.WRITE:
            raise RefusedError(403, f"{owner.login} may only read")

    def _session(self, session: Session, visit: Visit) -> Mapping[str, Any]:
        at = datetime.fromtimestamp(session.begun_ts, self._house.zone)
        now = datetime.fromtimestamp(self._house.clock(), self._house.zone)
        return {
            "number": session.number,
            "browser": session.browser,
            "address": session.address,
            "since": visit.t("since", time=visit.t.moment(at, now)),
        }
