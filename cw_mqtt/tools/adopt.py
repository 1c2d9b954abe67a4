"""The conversation of `cw-mqtt adopt`: what is there, what would be done; then it is done."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from sqlalchemy import make_url

from cw_mqtt.config.values import system_timezone
from cw_mqtt.errors import UsageError
from cw_mqtt.store.copying import Content, copy_base, rows_to_copy
from cw_mqtt.store.engine import SQLITE_NAME
from cw_mqtt.store.old_base import (
    OldBase,
    OldSensor,
    link_slugs,
    look,
    refuse_if_busy,
    repair_sequences,
    upgrade,
)
from cw_mqtt.store.schema import HEAD
from cw_mqtt.tools.adopted_config import (
    AdoptedSensor,
    OldSettings,
    Place,
    adopt_sensors,
    config_text,
    night_hours,
    scalar,
)
from cw_mqtt.tools.adopted_files import place_for, read, write_new
from cw_mqtt.tools.places import Database, old_url, open_database, read_old_settings

BAR_STEPS = 1000
SQLITE_ROW_BYTES = 150  # a measure with its index, and once more in the file's log
DUMP = "citizenwatt-before-cw-mqtt.dump"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for; see `cw-mqtt adopt --help`."""

    config: Path
    database: str | None = None
    old_config: Path | None = None
    to: str | None = None


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


def adopt(request: Request, *, yes: bool, as_json: bool) -> None:
    """Look, say what would be done, ask, and do it.

    Raises `UsageError` when somebody has to change something first, and `ResourceAwayError`;
    in both cases nothing was changed.
    """
    plan = make_plan(request)
    say = (lambda _: None) if as_json else click.echo
    say("\n".join(plan_lines(plan)))
    if not plan.is_done and not yes and not as_json:
        click.confirm("\nGo on?", abort=True)
    acts = not plan.is_done and (yes or not as_json)
    copied = carry_out(plan) if acts else {}
    if as_json:
        click.echo(json.dumps(report(plan, copied, done=acts or plan.is_done)))
    elif acts:
        say("\n".join(result_lines(plan, copied)))


def make_plan(request: Request) -> Plan:
    """Look at the base and at everything that may stand in the way; nothing is changed."""
    old = read_old_settings(request.old_config) if request.old_config else OldSettings()
    source = open_source(request.database or old_url(old), old)
    base = look(source.engine)
    target = open_target(request.to, base) if request.to else source
    if target is source and base.revision != HEAD:
        if source.url is None:
            raise UsageError("an old base in SQLite can only be copied; say where to with --to")
        refuse_if_busy(source.engine)
    # a base of ours that moves has its settings
    wanted = not (request.to and base.revision)
    config = place_for_config(request.config, base, target) if wanted else None
    return Plan(base, tuple(adopt_sensors(base.sensors)), source, target, config, old)


def open_source(where: str | None, old: OldSettings) -> Database:
    """The old base's database."""
    if where is None:
        raise UsageError(
            "where is the old base? Name its settings with --old-config "
            "(~/.config/citizenwatt/config.json), or its database with --database"
        )
    if "://" not in where and not Path(where).is_file():
        raise UsageError(f"{where}: no such file; expected postgresql://user@host/database")
    return open_database(where, old.password.get_secret_value() if old.password else None)


def open_target(where: str, base: OldBase) -> Database:
    """The database for a copy."""
    target = open_database(where)
    if target.path is None:
        return target
    if target.path.name != SQLITE_NAME:
        raise UsageError(
            f"--to {where}: in its data_dir the bridge's SQLite file is called {SQLITE_NAME}; "
            f"expected a path such as data/{SQLITE_NAME}"
        )
    try:
        target.path.parent.mkdir(parents=True, exist_ok=True)
        free_bytes = shutil.disk_usage(target.path.parent).free
    except OSError as error:
        raise UsageError(f"--to {where}: {error.strerror}") from error
    if free_bytes < base.measures * SQLITE_ROW_BYTES and not target.path.exists():
        needed = size(base.measures * SQLITE_ROW_BYTES)
        raise UsageError(f"--to {where}: {size(free_bytes)} are free, and about {needed} needed")
    return target


def place_for_config(config: Path, base: OldBase, target: Database) -> Path | None:
    """Where to write the settings; None when they are there from the last time.

    Raises `UsageError` when nothing can be written there.
    """
    beside = [config, *config.parent.glob(f"{config.stem}.*{config.suffix}")]
    if any(is_about(read(path), base, target) for path in beside):
        return None
    if not os.access(config.absolute().parent, os.W_OK):
        raise UsageError(f"cannot write into {config.absolute().parent}; say where with --config")
    return place_for(config)


def is_about(config: str, base: OldBase, target: Database) -> bool:
    """Whether settings have this database, or say that they were made for its copy in SQLite."""
    if target.url is None:
        return f"# {scalar(base.place)}." in config
    lines = [line for line in config.splitlines() if not line.lstrip().startswith("#")]
    return any(target.url in line for line in lines)


def carry_out(plan: Plan) -> dict[str, Content]:
    """Do it; the answer is what was copied, by table. It may be killed and done again."""
    copied = {}
    if plan.copies:
        copied = copy_with_bar(plan)
    elif plan.base.revision != HEAD:
        show_progress("Changing the tables", upgrade(plan.source.engine, plan.base))
    repair_sequences(plan.target.engine)
    link_slugs(plan.target.engine, {sensor.id: sensor.slug for sensor in plan.sensors})
    if plan.config:
        write_config(plan, plan.config)
    return copied


def show_progress(label: str, shares: Iterable[float]) -> None:
    """A bar that follows a share done, from 0 to 1."""
    with click.progressbar(length=BAR_STEPS, label=label, file=sys.stderr) as bar:
        for share in shares:
            bar.update(max(0, round(share * BAR_STEPS) - bar.pos))


def copy_with_bar(plan: Plan) -> dict[str, Content]:
    """Copy, with a bar that counts rows."""
    rows = rows_to_copy(plan.source.engine)
    with click.progressbar(length=rows, label="Copying and comparing", file=sys.stderr) as bar:
        return copy_base(plan.source.engine, plan.target.engine, bar.update)


def write_config(plan: Plan, path: Path) -> None:
    """The settings, after the file with the password that they name."""
    password = plan.target.password
    password_file = None
    if password:
        password_file = place_for(path.with_name("db-password"), f"{password}\n")
        if not password_file.exists():
            write_new(password_file, f"{password}\n")
    folder = plan.target.path.parent if plan.target.path else None
    place = Place(
        url=plan.target.url,
        password_file=password_file.name if password_file else None,
        data_dir=os.path.relpath(folder, path.parent) if folder else "data",
    )
    night = night_hours(plan.base.users)
    write_new(
        path,
        config_text(plan.base.place, plan.sensors, plan.base.providers, night, place, plan.old),
    )


def plan_lines(plan: Plan) -> Iterator[str]:
    """What is there, and what would be done, for people."""
    base = plan.base
    kind = "The CitizenWatt base" if base.revision is None else "The database of cw-mqtt"
    yield f"{kind} in {base.place}:"
    for found, sensor in zip(base.sensors, plan.sensors, strict=True):
        yield f"  sensor {found.id}, {scalar(sensor.name)}: {measured(found)}"
        if sensor.problem and plan.config:
            yield f"    waits in config.yaml: {sensor.problem}"
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
    return f"{datetime.fromtimestamp(ts, system_timezone()):%Y-%m-%d}"


def size(count: int) -> str:
    """A number of bytes for people."""
    return f"{count / 1e6:,.0f} MB"


def backup_command(source: Database) -> str:
    """The line that saves the whole database; it asks for the password."""
    url = make_url(source.url or "")
    options = {"host": url.host, "port": url.port, "username": url.username}
    named = [f"--{name}={value}" for name, value in options.items() if value]
    return shlex.join(["pg_dump", "--format=custom", f"--file={DUMP}", *named, str(url.database)])


def result_lines(plan: Plan, copied: dict[str, Content]) -> Iterator[str]:
    """What was done, and what to do next."""
    for table, content in copied.items():
        yield f"  {table}: {content.rows:,} rows, checksum {content.checksum:016x} on both sides"
    if not plan.copies:
        after = look(plan.source.engine).measures
        yield f"Done: {plan.base.measures:,} measures before, {after:,} after."
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
    return f"database.url: {target.url}"


def report(plan: Plan, copied: dict[str, Content], *, done: bool) -> dict[str, Any]:
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
            table: {"rows": content.rows, "checksum": f"{content.checksum:016x}"}
            for table, content in copied.items()
        },
    }
