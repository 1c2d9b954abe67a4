"""Databases as people name them on the command line, and the old base's settings that name one."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import click
from pydantic import SecretStr, ValidationError
from sqlalchemy import URL, Engine

from cw_mqtt.commands.adopt.new_config import OldSettings
from cw_mqtt.config.settings import DatabaseSettings
from cw_mqtt.errors import ResourceAwayError, UsageError
from cw_mqtt.store.engine import make_engine, patient, place, sqlite_engine, transaction

NO_PASSWORD = "no password supplied"  # noqa: S105 - what libpq says


@dataclass(frozen=True, slots=True)
class Database:
    """An opened database; `url` has no password, and is None for the SQLite file `path`."""

    engine: Engine
    url: str | None = None
    password: str | None = field(default=None, repr=False)
    path: Path | None = None

    @property
    def place(self) -> str:
        """How people know it."""
        return place(self.engine.url)


def read_old_settings(path: Path) -> OldSettings:
    """The old base's config.json. Raises `UsageError`, which shows nothing of what is in it."""
    try:
        return OldSettings.model_validate_json(path.read_text("utf-8-sig"))
    except ValidationError as error:
        wrong = {".".join(map(str, found["loc"])) or "not JSON" for found in error.errors()}
        raise UsageError(
            f"{path} is not an old base's config.json: {', '.join(sorted(wrong))}; name the "
            "database with --database instead"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error


def old_url(old: OldSettings) -> str | None:
    """The database that the old settings name. Raises `UsageError` when it is no PostgreSQL."""
    if old.database is None:
        return None
    if not old.database_type.startswith("postgres"):
        raise UsageError(f"the old base used {old.database_type!r}; only PostgreSQL can be adopted")
    host, _, port = old.host.partition(":")
    url = URL.create("postgresql", old.username, None, host, int(port or 5432), old.database)
    return url.render_as_string()


def open_database(where: str, password: str | None = None) -> Database:
    """The database at a URL or path, after a first contact; asks for a password where it must.

    `password` is used when the URL has none. Raises `UsageError` for a text that is neither, and
    `ResourceAwayError`.
    """
    if "://" not in where:
        path = Path(where)
        return Database(sqlite_engine(path), path=path)
    try:
        settings = DatabaseSettings.model_validate({"url": where})
    except ValidationError:
        raise UsageError(
            "this is no database: expected postgresql://user@host/database, or the path of a "
            "SQLite file"
        ) from None
    if settings.password is None:
        password = password or os.environ.get("PGPASSWORD")
        settings = DatabaseSettings.model_validate({"url": settings.url, "password": password})
    try:
        return contact(settings)
    except ResourceAwayError as error:
        if NO_PASSWORD not in str(error) or not sys.stdin.isatty():
            raise
    asked = click.prompt(f"Password for {settings.url}", hide_input=True, err=True)
    return contact(settings.model_copy(update={"password": SecretStr(asked)}))


def contact(settings: DatabaseSettings) -> Database:
    """Open a PostgreSQL that answers."""
    engine = patient(make_engine(settings, Path()))
    with transaction(engine):
        pass
    password = settings.password.get_secret_value() if settings.password else None
    return Database(engine, settings.url, password)
