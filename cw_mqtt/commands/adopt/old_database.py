"""Databases as people name them on the command line, and the old base's settings that name one."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import click
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from sqlalchemy import URL, Engine

from cw_mqtt.config.settings import DatabaseSettings
from cw_mqtt.errors import ResourceAwayError, UsageError
from cw_mqtt.store.engine import (
    SQLITE_NAME,
    make_engine,
    patient,
    place,
    sqlite_engine,
    transaction,
)

NO_PASSWORD = "no password supplied"  # noqa: S105 - what libpq says


class OldSettings(BaseModel):
    """What is still of use in the old base's config.json."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    database_type: str = "postgresql"
    username: str | None = None
    password: SecretStr | None = None
    host: str = "localhost"
    database: str | None = None
    port: int = Field(default=8080, ge=1, le=65535)
    max_returned_values: int = Field(default=500, ge=1)

    def url(self) -> str | None:
        """Their database. Raises `UsageError` when it is no PostgreSQL."""
        if self.database is None:
            return None
        if not self.database_type.startswith("postgres"):
            raise UsageError(
                f"the old base used {self.database_type!r}; only PostgreSQL can be adopted"
            )
        host, _, port = self.host.partition(":")
        url = URL.create("postgresql", self.username, None, host, int(port or 5432), self.database)
        return url.render_as_string()


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


def read_old_settings(path: Path | None) -> OldSettings:
    """The old base's config.json, or the usual settings where none is given.

    Raises `UsageError`, which shows nothing of what is in it.
    """
    if path is None:
        return OldSettings()
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


def open_source(where: str | None, old: OldSettings) -> Database:
    """The old base's database: the one that is named, or else that of its settings."""
    where = where or old.url()
    if where is None:
        raise UsageError(
            "where is the old base? Name its settings with --old-config "
            "(~/.config/citizenwatt/config.json), or its database with --database"
        )
    if "://" not in where and not Path(where).is_file():
        raise UsageError(f"{where}: no such file; expected postgresql://user@host/database")
    return _open(where, old.password.get_secret_value() if old.password else None)


def open_target(where: str) -> Database:
    """The database for a copy."""
    target = _open(where)
    if target.path is None:
        return target
    if target.path.name != SQLITE_NAME:
        raise UsageError(
            f"--to {where}: in its data_dir the bridge's SQLite file is called {SQLITE_NAME}; "
            f"expected a path such as data/{SQLITE_NAME}"
        )
    try:
        target.path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--to {where}: {error.strerror}") from error
    return target


def _open(where: str, password: str | None = None) -> Database:
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
        return _contact(settings)
    except ResourceAwayError as error:
        if NO_PASSWORD not in str(error) or not sys.stdin.isatty():
            raise
    asked = click.prompt(f"Password for {settings.url}", hide_input=True, err=True)
    return _contact(settings.model_copy(update={"password": SecretStr(asked)}))


def _contact(settings: DatabaseSettings) -> Database:
    """Open a PostgreSQL that answers."""
    engine = patient(make_engine(settings, Path()))
    with transaction(engine):
        pass
    password = settings.password.get_secret_value() if settings.password else None
    return Database(engine, settings.url, password)
