"""The conversation of `cw-mqtt adopt`: what is there, what would be done; then it is done."""

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from cw_mqtt.commands.adopt.files import both_places, place_for, read, write_new
from cw_mqtt.commands.adopt.new_config import (
    OldSettings,
    Place,
    adopt_sensors,
    config_text,
    night_hours,
    scalar,
)
from cw_mqtt.commands.adopt.old_database import Database, old_url, open_database, read_old_settings
from cw_mqtt.commands.adopt.plan import Plan, plan_lines, report, result_lines, size
from cw_mqtt.commands.common import AS_JSON, show_progress
from cw_mqtt.config.settings import EnergySettings
from cw_mqtt.errors import UsageError
from cw_mqtt.store.content import Content
from cw_mqtt.store.copying import copy_base, rows_to_copy
from cw_mqtt.store.engine import SQLITE_NAME, transaction
from cw_mqtt.store.old_base import OldBase, look, refuse_if_busy
from cw_mqtt.store.rollups import build
from cw_mqtt.store.schema import HEAD, bring_up_to_date
from cw_mqtt.store.sensors import link_slugs
from cw_mqtt.store.sequences import repair_sequences

SQLITE_ROW_BYTES = 150  # a measure with its index, and once more in the file's log


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for; see `cw-mqtt adopt --help`."""

    config: Path
    database: str | None = None
    old_config: Path | None = None
    to: str | None = None


@click.command("adopt")
@click.option(
    "--database",
    metavar="URL",
    help="The old base's database, as postgresql://user@host/database. By default what "
    "--old-config says. Also the path of a SQLite file, to copy it with --to.",
)
@click.option(
    "--old-config",
    type=click.Path(path_type=Path),
    help="The old base's settings, usually ~/.config/citizenwatt/config.json: they have the "
    "database with its password, and the port of the page.",
)
@click.option(
    "--to",
    metavar="PLACE",
    help="Copy everything there and leave the old base as it is: an empty PostgreSQL database's "
    "URL, or a SQLite file such as data/citizenwatt.sqlite.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@AS_JSON
@click.pass_obj
def adopt_command(
    config: Path | None,
    database: str | None,
    old_config: Path | None,
    to: str | None,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Take over the database of an old CitizenWatt base: all measures, sensors, prices, users.

    Says first what is there and what it would do, with a command for a backup, and asks. Stop
    the old base before. Then either

    \b
    cw-mqtt adopt --old-config ~/.config/citizenwatt/config.json
    cw-mqtt adopt --database postgresql://citizenwatt@localhost/citizenwatt

    opens the database in place: every row and number stays, columns that overflow one day
    are widened and tables of ours are added. With --to it is copied and stays as it is. In both
    cases a config.yaml with the sensors and their keys is written; one that exists is left
    alone, and the new one is written beside it. With --json it acts only if there is --yes.

    It may be broken off at any moment and run again. A password is best left out of the URL: it
    is taken from --old-config or the variable PGPASSWORD, or asked for. docs/adopt.md says more,
    the way back too.
    """
    request = Request(config or Path("config.yaml"), database, old_config, to)
    adopt(request, yes=yes, as_json=as_json)


def adopt(request: Request, *, yes: bool, as_json: bool) -> None:
    """Look, say what would be done, ask, and do it.

    Raises `UsageError` when somebody has to change something first, and `ResourceAwayError`;
    in both cases nothing was changed.
    """
    plan = make_plan(request)
    if not as_json:
        click.echo("\n".join(plan_lines(plan)))
    if not (plan.is_done or yes or as_json):
        click.confirm("\nGo on?", abort=True)
    acts = not plan.is_done and (yes or not as_json)
    copied = carry_out(plan) if acts else {}
    if as_json:
        click.echo(json.dumps(report(plan, copied, done=acts or plan.is_done)))
    elif acts:
        measures = look(plan.target.engine).measures
        click.echo("\n".join(result_lines(plan, copied, measures)))


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
    if any(is_about(read(path), base, target) for path in both_places(config)):
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
        click.echo("Changing the tables: minutes for years of measures; Ctrl+C undoes it", err=True)
        bring_up_to_date(plan.source.engine)
    with transaction(plan.target.engine) as connection:
        repair_sequences(connection)
        link_slugs(connection, {sensor.id: sensor.slug for sensor in plan.sensors})
    show_progress("Adding up the energy", build(plan.target.engine, EnergySettings().max_gap_s))
    if plan.config:
        write_config(plan, plan.config)
    return copied


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
