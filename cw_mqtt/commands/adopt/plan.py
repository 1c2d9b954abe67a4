"""What `cw-mqtt adopt` found and would do, in words for people and in JSON for programs."""

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from cw_mqtt.commands.adopt.new_config import AdoptedSensor, adopt_sensors, scalar
from cw_mqtt.commands.adopt.old_database import (
    Database,
    OldSettings,
    open_source,
    open_target,
    read_old_settings,
)
from cw_mqtt.errors import UsageError
from cw_mqtt.store.old_base import OldBase, OldSensor, read_old_base, refuse_if_busy
from cw_mqtt.store.schema import HEAD

DUMP = "citizenwatt-before-cw-mqtt.dump"


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done; `config` None writes no settings, since they are there already."""

    base: OldBase
    sensors: tuple[AdoptedSensor, ...]
    source: Database
    target: Database
    config: Path | None
    old: OldSettings

    @property
    def copies(self) -> bool:
        """Whether the base is copied, and not opened in place."""
        return self.source is not self.target

    @property
    def is_done(self) -> bool:
        """Whether nothing is to do."""
        return not self.copies and self.base.revision == HEAD and self.config is None


def make_plan(
    config: Path, database: str | None, old_config: Path | None, copy_to: str | None
) -> Plan:
    """Look at the base and at everything that may stand in the way; nothing is changed.

    Raises `UsageError` when somebody has to change something first, and `ResourceAwayError`.
    """
    old = read_old_settings(old_config)
    source = open_source(database, old)
    base = read_old_base(source.engine)
    target = open_target(copy_to) if copy_to else source
    if target is source and base.revision != HEAD:
        if source.url is None:
            raise UsageError("an old base in SQLite can only be copied; say where to with --to")
        refuse_if_busy(source.engine)
    # a base of ours that moves has its settings
    wanted = not (copy_to and base.revision)
    new_config = _free_config(config, base, target) if wanted else None
    return Plan(base, tuple(adopt_sensors(base.sensors)), source, target, new_config, old)


def free_path(path: Path, text: str | None = None) -> Path:
    """This path or the one beside it: one that is free, or has this very text already.

    Raises `UsageError` when both are taken.
    """
    for each in _both_paths(path):
        if not each.exists() or (text is not None and _read(each) == text):
            return each
    raise UsageError(
        f"{' and '.join(map(str, _both_paths(path)))} exist already; move one of them away"
    )


def plan_lines(plan: Plan) -> Iterator[str]:
    """What is there, and what would be done, for people."""
    yield from _base_lines(plan)
    yield ""
    if plan.is_done:
        yield "It is adopted, and its settings are written: there is nothing to do."
        return
    if plan.copies:
        yield "What will be done:"
        yield f"  everything is copied to {plan.target.place}"
        yield f"  {plan.base.place} stays as it is"
    else:
        yield "What will be done, all of it or nothing:"
        yield from (f"  {change}" for change in plan.base.changes)
    if plan.config:
        yield f"  {plan.config} is written: sensors, keys, contracts, night hours, port"
    if plan.base.changes and not plan.copies:
        yield ""
        size_mb = 2 * plan.base.size_bytes / 1e6
        yield f"For a while it takes up to {size_mb:,.0f} MB more of the server's disk."
        yield "A backup is good to have; this makes one:"
        yield f"  {_dump_command(plan.source)}"


def result_lines(plan: Plan, copied: Mapping[str, int], measures: int) -> Iterator[str]:
    """What was done, and what to do next; `measures` is how many there are now."""
    for table, rows in copied.items():
        yield f"  {table}: {rows:,} rows"
    yield f"Done: {plan.base.measures:,} measures before, {measures:,} after."
    if plan.config is None:
        yield f"Your config.yaml must have {_settings_of(plan.target)}."
        return
    yield f"Written: {plan.config}. Look it over, then:"
    yield f"  cw-mqtt --config {shlex.quote(str(plan.config))} check-config"
    yield f"  cw-mqtt --config {shlex.quote(str(plan.config))} run"


def report(plan: Plan, copied: Mapping[str, int], *, done: bool) -> dict[str, Any]:
    """The same for programs."""
    return {
        "done": done,
        "database": plan.base.place,
        "target": plan.target.place,
        "measures": plan.base.measures,
        "sensors": [
            {"id": found.id, "slug": sensor.slug, "name": sensor.name, "measures": found.measures}
            | {"first_ts": found.first_ts, "last_ts": found.last_ts, "odd": found.odd}
            | {"problem": sensor.problem}
            for found, sensor in zip(plan.base.sensors, plan.sensors, strict=True)
        ],
        "providers": [provider.name for provider in plan.base.providers],
        "users": [user.login for user in plan.base.users],
        "changes": plan.base.changes,
        "backup": _dump_command(plan.source) if plan.source.url else None,
        "config": str(plan.config) if plan.config else None,
        "copied": dict(copied),
    }


def _free_config(config: Path, base: OldBase, target: Database) -> Path | None:
    """Where to write the settings; None when they are there from the last time."""
    if any(_is_about(_read(path), base, target) for path in _both_paths(config)):
        return None
    if not os.access(config.absolute().parent, os.W_OK):
        raise UsageError(f"cannot write into {config.absolute().parent}; say where with --config")
    return free_path(config)


def _is_about(config: str, base: OldBase, target: Database) -> bool:
    """Whether settings have this database, or say that they were made for its copy in SQLite."""
    if target.url is None:
        return f"# {scalar(base.place)}." in config
    lines = [line for line in config.splitlines() if not line.lstrip().startswith("#")]
    return any(target.url in line for line in lines)


def _both_paths(path: Path) -> tuple[Path, Path]:
    return path, path.with_name(f"{path.stem}.adopted{path.suffix}")


def _read(path: Path) -> str:
    """The text of a file, as far as it is one; empty when it cannot be read."""
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _base_lines(plan: Plan) -> Iterator[str]:
    base = plan.base
    kind = "The CitizenWatt base" if base.revision is None else "The database of cw-mqtt"
    yield f"{kind} in {base.place}:"
    for found, sensor in zip(base.sensors, plan.sensors, strict=True):
        yield f"  sensor {found.id}, {scalar(sensor.name)}: {_measured(found)}"
        if sensor.problem and plan.config:
            yield f"    waits in {plan.config.name}: {sensor.problem}"
    for provider in base.providers:
        current = ", current" if provider.current else ""
        yield f"  contract {provider.id}, {scalar(provider.name or '')}{current}"
    for user in base.users:
        yield f"  user {scalar(user.login)}{', administrator' if user.is_admin else ''}"
    yield f"  {base.measures:,} measures in all"


def _measured(sensor: OldSensor) -> str:
    said = f"{sensor.measures:,} measures"
    if sensor.first_ts is not None and sensor.last_ts is not None:
        said += f", {_local_date(sensor.first_ts)} to {_local_date(sensor.last_ts)}"
    if sensor.odd:
        said += f"; {sensor.odd:,} of them without a value, or with no possible time: they stay too"
    return said


def _local_date(ts: int) -> str:
    return f"{datetime.fromtimestamp(ts, UTC).astimezone():%Y-%m-%d}"


def _dump_command(source: Database) -> str:
    """The line that saves the whole database; it asks for the password."""
    url = make_url(source.url or "")
    options = {"host": url.host, "port": url.port, "username": url.username}
    named = [f"--{name}={value}" for name, value in options.items() if value]
    return shlex.join(["pg_dump", "--format=custom", f"--file={DUMP}", *named, str(url.database)])


def _settings_of(target: Database) -> str:
    """What config.yaml must say to use a database."""
    if target.path:
        return f"data_dir: {target.path.parent}, and no database.url"
    password = ", and its password as database.password" if target.password else ""
    return f"database.url: {target.url}{password}"
