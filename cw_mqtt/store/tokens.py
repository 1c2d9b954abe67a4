"""Tokens, by which programs are let in without a password."""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Delete, Engine, Update, bindparam, delete, insert, select, update

from cw_mqtt.errors import UsageError
from cw_mqtt.model import Role, Token
from cw_mqtt.store.accounts import NOTED_EVERY_S
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.tables import tokens

ALL = select(tokens.c.name, tokens.c.role, tokens.c.created_ts, tokens.c.used_ts)
BY_HASH = ALL.where(tokens.c.key_hash == bindparam("key_hash"))


class Tokens:
    """The tokens in the database, known by their hash alone; for any thread.

    Each method raises `ResourceAwayError` while the database is away.
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
            return [token(row) for row in connection.execute(ALL.order_by(tokens.c.name))]

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
