"""User accounts, in the old table `users`."""

from dataclasses import dataclass, field

from sqlalchemy import Engine, insert, select, update

from cw_mqtt.errors import UsageError
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.tables import users


@dataclass(frozen=True, slots=True)
class Account:
    """Who may log in; `password_hash` is as the web wrote it, or as the old base did."""

    login: str
    password_hash: str = field(repr=False)
    is_admin: bool


class Accounts:
    """The accounts in the database; every method may be called from any thread.

    Each raises `ResourceAwayError` while the database is away.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, login: str) -> Account | None:
        """The account of this login, in exactly this writing."""
        query = select(users.c.login, users.c.password, users.c.is_admin)
        with transaction(self._engine) as connection:
            row = connection.execute(query.where(users.c.login == login)).first()
        return Account(row.login, row.password or "", bool(row.is_admin)) if row else None

    def add(self, login: str, password_hash: str, *, admin: bool = False) -> None:
        """Make an account. Raises `UsageError` when the login is taken."""
        row = insert(users).values(login=login, password=password_hash, is_admin=int(admin))
        if self.find(login):
            raise UsageError(f"there is already a user {login!r}")
        with transaction(self._engine) as connection:
            connection.execute(row)

    def set_password(self, login: str, password_hash: str) -> None:
        """Replace a password. Raises `UsageError` when there is no such user."""
        change = update(users).where(users.c.login == login).values(password=password_hash)
        with transaction(self._engine) as connection:
            changed = connection.execute(change).rowcount
        if not changed:
            raise UsageError(f"there is no user {login!r}")

    def logins(self) -> list[str]:
        """Every login, sorted."""
        with transaction(self._engine) as connection:
            return list(connection.execute(select(users.c.login).order_by(users.c.login)).scalars())
