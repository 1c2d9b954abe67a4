"""User accounts, in the old table `users`, and the browsers that are logged in with them."""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    Delete,
    Engine,
    Update,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from cw_mqtt.errors import UsageError
from cw_mqtt.records import Account, Role, Session, Token
from cw_mqtt.store.engine import quickly, transaction
from cw_mqtt.store.measures import int64
from cw_mqtt.store.tables import first_users, sessions, tokens, users

SESSION_S = 30 * 86400  # how long a browser stays logged in after its last request
LONGEST_SESSION_S = 90 * 86400  # and after its login
NOTED_EVERY_S = 86400  # when something was used is noted no more often

ALL = select(users.c.login, users.c.is_admin, users.c.password)
BY_LOGIN = ALL.where(users.c.login == bindparam("login"))
# abs: a session that a clock far ahead has dated would be alive for years
IS_ALIVE = (func.abs(sessions.c.used_ts - int64("now_ts")) < SESSION_S) & (
    func.abs(sessions.c.begun_ts - int64("now_ts")) < LONGEST_SESSION_S
)
EXPIRE = delete(sessions).where(~IS_ALIVE)
# so that it ends with the password, whoever changes that
LOGGED_IN = (
    ALL.add_columns(sessions)
    .join(sessions)
    .where(IS_ALIVE, sessions.c.password == users.c.password)
)
BY_SESSION = LOGGED_IN.where(sessions.c.key_hash == bindparam("key_hash"))
OF_LOGIN = LOGGED_IN.where(users.c.login == bindparam("login")).order_by(sessions.c.id)
NOTE_FIRST = insert(first_users).from_select(
    ["made_ts"], select(int64("now_ts")).where(~select(first_users).exists())
)


class Accounts:
    """The accounts in the database; every method may be called from any thread.

    A session is known by the hash of its key alone. Each method raises `ResourceAwayError` while
    the database is unavailable.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock

    def find(self, login: str) -> Account | None:
        """The account of this login, in exactly this writing."""
        with transaction(self._engine) as connection:
            rows = quickly(connection, BY_LOGIN, {"login": login})
        return account(*rows[0]) if rows else None

    def all(self) -> list[Account]:
        """Every account, sorted by login."""
        with transaction(self._engine) as connection:
            return [account(*row) for row in connection.execute(ALL.order_by(users.c.login))]

    def exist(self) -> bool:
        """Whether there is any account."""
        with transaction(self._engine) as connection:
            return connection.execute(ALL.limit(1)).first() is not None

    def ever_existed(self) -> bool:
        """Whether there is any account, or has been; this is remembered."""
        if self.exist():
            self._note_first()
            return True
        with transaction(self._engine) as connection:
            return connection.execute(select(first_users)).first() is not None

    def add(self, login: str, password_hash: str, role: Role) -> None:
        """Make an account. Raises `UsageError` when the login is taken."""
        is_admin = int(role is Role.WRITE)
        row = insert(users).values(login=login, password=password_hash, is_admin=is_admin)
        if self.find(login):
            raise UsageError(f"there is already a user {login!r}")
        with transaction(self._engine) as connection:
            connection.execute(row)
        self._note_first()

    def set_password(self, login: str, password_hash: str) -> None:
        """Replace a password, which ends the user's sessions. Raises `UsageError` for no user."""
        self._change(login, update(users).values(password=password_hash))

    def set_role(self, login: str, role: Role) -> None:
        """Replace a role. Raises `UsageError` when there is no such user."""
        self._change(login, update(users).values(is_admin=int(role is Role.WRITE)))

    def remove(self, login: str) -> None:
        """Remove an account and its sessions. Raises `UsageError` when there is no such user."""
        self._change(login, delete(users))
        self._note_first()

    def replace_hash(self, old: Account, password_hash: str) -> None:
        """Store the same password's hash in a better form, unless it was changed meanwhile."""
        change = update(users).where(
            users.c.login == old.login, users.c.password == old.password_hash
        )
        with transaction(self._engine) as connection:
            connection.execute(change.values(password=password_hash))

    def begin_session(self, owner: Account, key_hash: str, address: str, browser: str) -> None:
        """Let whoever has this key be that user, until the password changes.

        Sessions that have expired are forgotten.
        """
        now_ts = int(self._clock())
        known: dict[str, str | int] = {"key_hash": key_hash, "address": address, "browser": browser}
        known |= {"begun_ts": now_ts, "used_ts": now_ts}
        row = select(users.c.id, users.c.password, *map(literal, known.values())).where(
            users.c.login == owner.login, users.c.password == owner.password_hash
        )
        columns = ["user_id", "password", *known]
        with transaction(self._engine) as connection:
            connection.execute(EXPIRE, {"now_ts": now_ts})
            connection.execute(insert(sessions).from_select(columns, row))

    def session(self, key_hash: str) -> Account | None:
        """Whose session this is, None when it has ended."""
        now_ts = int(self._clock())
        parameters = {"key_hash": key_hash, "now_ts": now_ts}
        with transaction(self._engine) as connection:
            row = connection.execute(BY_SESSION, parameters).first()
        if row and abs(now_ts - row.used_ts) >= NOTED_EVERY_S:
            used = update(sessions).where(sessions.c.key_hash == key_hash).values(used_ts=now_ts)
            with transaction(self._engine) as connection:
                connection.execute(used)
        return account(row.login, row.is_admin, row.password) if row else None

    def end_session(self, key_hash: str) -> None:
        """Forget a session, if there is one."""
        with transaction(self._engine) as connection:
            connection.execute(delete(sessions).where(sessions.c.key_hash == key_hash))

    def sessions(self, login: str) -> list[Session]:
        """The browsers in which somebody is logged in. Raises `UsageError` for no user."""
        if not self.find(login):
            raise no_user(login)
        asked = {"login": login, "now_ts": int(self._clock())}
        with transaction(self._engine) as connection:
            return [
                Session(row.id, row.begun_ts, row.used_ts, row.address, row.browser)
                for row in connection.execute(OF_LOGIN, asked)
            ]

    def end_sessions(self, login: str, number: int | None) -> int:
        """Log a user out of one browser, or for None of all; of how many.

        Raises `UsageError` when there is none.
        """
        numbers = [s.number for s in self.sessions(login) if number in (None, s.number)]
        if number is not None and not numbers:
            raise UsageError(f"{login} has no session {number}; cw-mqtt user sessions shows all")
        with transaction(self._engine) as connection:
            connection.execute(delete(sessions).where(sessions.c.id.in_(numbers)))
        return len(numbers)

    def _note_first(self) -> None:
        with transaction(self._engine) as connection:
            connection.execute(NOTE_FIRST, {"now_ts": int(self._clock())})

    def _change(self, login: str, change: Update | Delete) -> None:
        with transaction(self._engine) as connection:
            changed = connection.execute(change.where(users.c.login == login)).rowcount
        if not changed:
            raise no_user(login)


def no_user(login: str) -> UsageError:
    """For a login that nobody has."""
    return UsageError(f"there is no user {login!r}; cw-mqtt user list shows all")


def account(login: str, is_admin: int | None, password: str | None) -> Account:
    """A row of `ALL`; the old base's columns may be empty."""
    return Account(login, Role.WRITE if is_admin else Role.READ, password or "")


ALL_TOKENS = select(tokens.c.name, tokens.c.role, tokens.c.created_ts, tokens.c.used_ts)
BY_HASH = ALL_TOKENS.where(tokens.c.key_hash == bindparam("key_hash"))


class Tokens:
    """The tokens in the database, known by their hash alone; for any thread.

    Each method raises `ResourceAwayError` while the database is unavailable.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock

    def find(self, key_hash: str) -> Token | None:
        """The token with this hash; notes the day of its use."""
        now_ts = int(self._clock())
        with transaction(self._engine) as connection:
            row = connection.execute(BY_HASH, {"key_hash": key_hash}).first()
        if row and (row.used_ts is None or abs(now_ts - row.used_ts) >= NOTED_EVERY_S):
            used = update(tokens).where(tokens.c.key_hash == key_hash).values(used_ts=now_ts)
            with transaction(self._engine) as connection:
                connection.execute(used)
        return token(row) if row else None

    def all(self) -> list[Token]:
        """Every token, sorted by name."""
        with transaction(self._engine) as connection:
            return [token(row) for row in connection.execute(ALL_TOKENS.order_by(tokens.c.name))]

    def add(self, name: str, key_hash: str, role: Role) -> None:
        """Let a program in. Raises `UsageError` when the name is taken."""
        row = {"name": name, "key_hash": key_hash, "role": role, "created_ts": int(self._clock())}
        if any(each.name == name for each in self.all()):
            raise UsageError(f"there is already a token {name!r}; remove it, or take another name")
        with transaction(self._engine) as connection:
            connection.execute(insert(tokens).values(row))

    def set_role(self, name: str, role: Role) -> None:
        """Let a program read, or write too. Raises `UsageError` when there is no such token."""
        self._change(update(tokens).where(tokens.c.name == name).values(role=role), name)

    def remove(self, name: str) -> None:
        """Revoke a token. Raises `UsageError` when there is no such token."""
        self._change(delete(tokens).where(tokens.c.name == name), name)

    def _change(self, statement: Update | Delete, name: str) -> None:
        with transaction(self._engine) as connection:
            changed = connection.execute(statement).rowcount
        if not changed:
            raise UsageError(f"there is no token {name!r}; cw-mqtt user token list shows all")


def token(row: Any) -> Token:
    """A row of `tokens`."""
    return Token(row.name, Role(row.role), row.created_ts, row.used_ts)
