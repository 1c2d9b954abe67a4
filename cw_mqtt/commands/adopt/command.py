"""`cw-mqtt adopt`: says what is there and what it would do, asks, and does it."""

import json
import os
from pathlib import Path

import click
from sqlalchemy import Engine, inspect

from cw_mqtt.commands.adopt.new_config import NewDatabase, config_text
from cw_mqtt.commands.adopt.plan import (
    Plan,
    free_path,
    make_plan,
    plan_lines,
    report,
    result_lines,
)
from cw_mqtt.commands.common import AS_JSON, shares_of, show_progress, write_secret
from cw_mqtt.config.settings import EnergySettings
from cw_mqtt.errors import UsageError
from cw_mqtt.store.dump import fill, is_empty, rows_of, stored_tables, total_rows
from cw_mqtt.store.engine import filling, place, snapshot, transaction
from cw_mqtt.store.measures import count_all_measures
from cw_mqtt.store.rollups import build
from cw_mqtt.store.schema import HEAD, bring_up_to_date, repair_sequences, revision_of
from cw_mqtt.store.sensors import link_slugs


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
    metavar="DATABASE",
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

    It may be interrupted at any moment and run again. A password is best left out of the URL: it
    is taken from --old-config or the variable PGPASSWORD, or asked for. docs/adopt.md says more,
    the way back too.
    """
    plan = make_plan(config or Path("config.yaml"), database, old_config, to)
    if not as_json:
        click.echo("\n".join(plan_lines(plan)))
    if not (plan.is_done or yes or as_json):
        click.confirm("\nGo on?", abort=True)
    acts = not plan.is_done and (yes or not as_json)
    copied = _carry_out(plan) if acts else {}
    if as_json:
        click.echo(json.dumps(report(plan, copied, done=acts or plan.is_done)))
    elif acts:
        click.echo("\n".join(result_lines(plan, copied, count_all_measures(plan.target.engine))))


def _carry_out(plan: Plan) -> dict[str, int]:
    """Do it; how many rows of each table were copied. It may be killed and done again."""
    engine = plan.target.engine
    copied = {}
    if plan.copies:
        copied = _copy(plan.source.engine, engine)
    elif plan.base.revision != HEAD:
        click.echo("Changing the tables: minutes for years of measures; Ctrl+C undoes it", err=True)
        bring_up_to_date(engine)
    with transaction(engine) as connection:
        repair_sequences(connection)
        link_slugs(connection, {sensor.id: sensor.slug for sensor in plan.sensors})
    show_progress("Adding up the energy", build(engine, EnergySettings().max_gap_s))
    if plan.config:
        _write_config(plan, plan.config)
    return copied


def _copy(source: Engine, target: Engine) -> dict[str, int]:
    """Copy every table that both know, all or nothing; how many rows each has.

    A target that has as many already is the copy that was made before, and stays as it is. Raises
    `UsageError` when it has others.
    """
    _refuse_foreign(target)
    bring_up_to_date(target)
    with snapshot(source) as read, filling(target) as written:
        tables = stored_tables(read)
        if is_empty(written):
            counts = fill(written, tables, lambda name: rows_of(read, name, tables[name].columns))
            show_progress("Copying", shares_of(total_rows(tables), counts))
        there = stored_tables(written)
        if any(there[name].rows != entry.rows for name, entry in tables.items()):
            raise UsageError(f"{place(target.url)} has other rows; give another database to --to")
    return {name: entry.rows for name, entry in tables.items()}


def _refuse_foreign(target: Engine) -> None:
    """Raise `UsageError` when the target has tables and is not a database of ours."""
    with transaction(target) as connection:
        tables = inspect(connection).get_table_names()
        if tables and revision_of(connection) is None:
            raise UsageError(
                f"{place(target.url)} has tables of something else "
                f"({', '.join(sorted(tables)[:3])}); make an empty database for the copy"
            )


def _write_config(plan: Plan, path: Path) -> None:
    """The settings, after the file with the password that they name."""
    password_file = None
    if plan.target.password:
        text = f"{plan.target.password}\n"
        password_file = free_path(path.with_name("db-password"), text)
        if not password_file.exists():
            write_secret(password_file, text)
    folder = plan.target.path.parent if plan.target.path else None
    database = NewDatabase(
        url=plan.target.url,
        password_file=password_file.name if password_file else None,
        data_dir=os.path.relpath(folder, path.parent) if folder else "data",
    )
    write_secret(path, config_text(plan.base, plan.sensors, database, plan.old))
