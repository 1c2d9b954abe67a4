"""What `cw-mqtt adopt` found and would do, in words for people and in JSON for programs."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from cw_mqtt.commands.adopt.new_config import AdoptedSensor, OldSettings, scalar
from cw_mqtt.commands.adopt.old_database import Database
from cw_mqtt.store.content import Content
from cw_mqtt.store.old_base import OldBase, OldSensor
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


def plan_lines(plan: Plan) -> Iterator[str]:
    """What is there, and what would be done, for people."""
    base = plan.base
    kind = "The CitizenWatt base" if base.revision is None else "The database of cw-mqtt"
    yield f"{kind} in {base.place}:"
    for found, sensor in zip(base.sensors, plan.sensors, strict=True):
        yield f"  sensor {found.id}, {scalar(sensor.name)}: {measured(found)}"
        if sensor.problem and plan.config:
            yield f"    waits in {plan.config.name}: {sensor.problem}"
    for provider in base.providers:
        current = ", current" if provider.current else ""
        yield f"  contract {provider.id}, {scalar(provider.name or '')}{current}"
    for user in base.users:
        yield f"  user {scalar(user.login)}{', administrator' if user.is_admin else ''}"
    yield f"  {base.measures:,} measures in all"
    yield ""
    if plan.is_done:
        yield "It is adopted, and its settings are written: there is nothing to do."
        return
    yield "What will be done:" if plan.copies else "What will be done, all of it or nothing:"
    if plan.copies:
        yield f"  everything is copied to {plan.target.place} and compared"
        yield "  the old base stays as it is"
    yield from (f"  {change}" for change in base.changes if not plan.copies)
    if plan.config:
        yield f"  {plan.config} is written: sensors, keys, contracts, night hours, port"
    if base.changes and not plan.copies:
        yield ""
        yield f"For a while it takes up to {size(2 * base.size_bytes)} more of the server's disk."
        yield "A backup is good to have; this makes one:"
        yield f"  {backup_command(plan.source)}"


def measured(sensor: OldSensor) -> str:
    """A sensor's measures in words."""
    said = f"{sensor.measures:,} measures"
    if sensor.first_ts is not None and sensor.last_ts is not None:
        said += f", {day(sensor.first_ts)} to {day(sensor.last_ts)}"
    if sensor.odd:
        said += f"; {sensor.odd:,} of them without a value, or with no possible time: they stay too"
    return said


def day(ts: int) -> str:
    """The local date of an instant."""
    return f"{datetime.fromtimestamp(ts, UTC).astimezone():%Y-%m-%d}"


def size(count: int) -> str:
    """A number of bytes for people."""
    return f"{count / 1e6:,.0f} MB"


def backup_command(source: Database) -> str:
    """The line that saves the whole database; it asks for the password."""
    url = make_url(source.url or "")
    options = {"host": url.host, "port": url.port, "username": url.username}
    named = [f"--{name}={value}" for name, value in options.items() if value]
    return shlex.join(["pg_dump", "--format=custom", f"--file={DUMP}", *named, str(url.database)])


def result_lines(plan: Plan, copied: Mapping[str, Content], measures: int) -> Iterator[str]:
    """What was done, and what to do next; `measures` is how many there are now."""
    for table, content in copied.items():
        yield f"  {table}: {content.rows:,} rows, checksum {content.checksum[:16]} on both sides"
    if not plan.copies:
        yield f"Done: {plan.base.measures:,} measures before, {measures:,} after."
    if plan.config is None:
        yield f"Your config.yaml must have {database_lines(plan.target)}."
        return
    yield f"Written: {plan.config}. Look it over, then:"
    yield f"  cw-mqtt --config {shlex.quote(str(plan.config))} check-config"
    yield f"  cw-mqtt --config {shlex.quote(str(plan.config))} run"


def database_lines(target: Database) -> str:
    """What config.yaml must say to use a database."""
    if target.path:
        return f"data_dir: {target.path.parent}, and no database.url"
    password = ", and its password as database.password" if target.password else ""
    return f"database.url: {target.url}{password}"


def report(plan: Plan, copied: Mapping[str, Content], *, done: bool) -> dict[str, Any]:
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
        "backup": backup_command(plan.source) if plan.source.url else None,
        "config": str(plan.config) if plan.config else None,
        "copied": {
            table: {"rows": content.rows, "checksum": content.checksum}
            for table, content in copied.items()
        },
    }
