"""The commands about history: `cw-mqtt export`, `import`, `undelete`, `backup` and so on."""

import json
import os
import sys
import time
from dataclasses import asdict
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import click

from cw_mqtt.commands.common import AS_JSON, FAILED, open_database, show
from cw_mqtt.commands.progress import show_progress
from cw_mqtt.config.settings import Settings
from cw_mqtt.errors import BridgeError, UsageError
from cw_mqtt.measure.periods import STEPS, instant_of
from cw_mqtt.model import Deletion, iso_utc

MOST_TOLD = 20


@click.command("export")
@click.argument("sensors", nargs=-1, metavar="[SENSOR]...")
@click.option("--from", "since", metavar="TIME", help="The first instant, as 2025-01-01.")
@click.option("--until", metavar="TIME", help="Up to but not including this instant.")
@click.option("--step", type=click.Choice(list(STEPS)), help="Energy and cost by period instead.")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv")
@click.option("--utc", is_flag=True, help="Times in UTC, not in the settings' timezone.")
@click.option("--output", type=click.Path(path_type=Path), help="A file; by default the terminal.")
@click.pass_obj
def export_command(
    config: Path | None,
    /,
    sensors: tuple[str, ...],
    since: str | None,
    until: str | None,
    step: str | None,
    form: str,
    *,
    utc: bool,
    output: Path | None,
) -> None:
    """Write measures, or what they add up to, as CSV or JSON lines.

    SENSOR is a slug, a name or a number; without one all are written. `cw-mqtt import` reads
    measures back. With --step: energy, mean, lowest and highest power of each period of the
    local calendar, and its cost by the contract that was valid then.

    cw-mqtt export main --from 2025-01-01 --until 2026-01-01 --step 1month
    """
    from cw_mqtt.commands.exports import Wanted, export
    from cw_mqtt.commands.files import written_whole

    settings, engine = open_database(config)
    from_ts, until_ts = (parse_instant(text, settings) for text in (since, until))
    wanted = Wanted(sensors, from_ts, until_ts, step, utc)
    if output is None:
        export(engine, settings, wanted, form, sys.stdout)
        return
    with written_whole(output) as part, part.open("w", encoding="utf-8", newline="") as file:
        count = export(engine, settings, wanted, form, file)
    click.echo(f"{count:,} rows written to {output}.", err=True)


@click.command("import")
@click.argument("source", type=click.File("rb"), metavar="FILE")
@click.option("--sensor", help="Whose measures these are; by default each line says it.")
@click.option("--format", "form", type=click.Choice(["auto", "csv", "jsonl"]), default="auto")
@click.option("--dry-run", is_flag=True, help="Only say what would become of each line.")
@AS_JSON
@click.pass_obj
def import_command(
    config: Path | None,
    source: Any,
    sensor: str | None,
    form: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Add the measures in FILE (- is the terminal) that are not there yet.

    Read are exports, tables of the old base as psql copies them, and any CSV or JSON lines with
    times and watts; docs/operations.md says which. Nothing is added twice: an import that was
    broken off is started again. The bridge may run meanwhile. Exit code 1: lines were refused.
    """
    from cw_mqtt.commands.imports import Report, Source, import_lines

    settings, engine = open_database(config)
    report = Report()
    lines = Source(source, form, sensor)
    size = max(1, os.fstat(source.fileno()).st_size)
    done = import_lines(engine, settings, lines, report, time.time(), dry=dry_run)
    shares = (min(1.0, so_far / size) for so_far in accumulate(done))
    show_progress("Importing", shares, hidden=as_json)
    told = {**asdict(report), "dry_run": dry_run}
    click.echo(json.dumps(told) if as_json else report.text())
    if report.refused:
        sys.exit(FAILED)


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def backup_command(config: Path | None, file: Path) -> None:
    """Write the database and the journal into FILE, and read it back.

    The bridge may run meanwhile. FILE holds logins and the history of a home, and can be read by
    you alone. Keep config.yaml beside it: it has the sensors' keys, and is not in FILE.
    """
    from cw_mqtt.commands.backups import check_backup, write_backup
    from cw_mqtt.commands.files import written_whole

    settings, engine = open_database(config)
    with written_whole(file) as part:
        shares = write_backup(engine, settings.data_dir, part, time.time())
        show_progress("Writing", shares)
        show_progress("Reading back", check_backup(part))
    click.echo(f"{file} is written, and reads as the database did.")


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--replace", is_flag=True, help="Empty the database first.")
@click.option("--empty", is_flag=True, help="No FILE: begin here without the history so far.")
@click.pass_obj
def restore_command(config: Path | None, file: Path | None, *, replace: bool, empty: bool) -> None:
    """Fill the database with the backup FILE, all or nothing, and read it back.

    FILE may come from the other kind of database, so this is also a way to move: a bridge that
    runs, and waits for its history in a new database, is given it. Otherwise stop the bridge
    before. A journal that belongs to the backup stays, with what was measured since.
    """
    from cw_mqtt.commands.backups import begin_empty, check_backup, restore_backup

    if (file is None) != empty:
        raise UsageError("expected either the FILE of a backup, or --empty")
    if file is None:
        settings, engine = open_database(config)
        begin_empty(engine, settings.data_dir)
        click.echo("The history begins anew here; the one so far stays where it is.")
        return
    show_progress("Checking", check_backup(file))
    settings, engine = open_database(config)
    shares = restore_backup(engine, settings.data_dir, file, replace=replace)
    show_progress("Restoring", shares)
    click.echo(f"{file} is restored, and the database reads as it.")


@click.command("undelete")
@click.argument("number", type=int, required=False)
@click.option("--list", "is_list", is_flag=True, help="Show what can be brought back.")
@AS_JSON
@click.pass_obj
def undelete_command(
    config: Path | None, number: int | None, *, is_list: bool, as_json: bool
) -> None:
    """Bring back what was deleted over the API, by its NUMBER in the list.

    Deleted measures are kept for 30 days. They come back with their ids, and the sums follow at
    once. The bridge may run meanwhile. If it is broken off, start it again.
    """
    from cw_mqtt.store.deletions import all_deletions, undelete_in_steps
    from cw_mqtt.store.engine import transaction

    if is_list == (number is not None):
        raise UsageError("expected either --list, or the NUMBER of a deletion")
    settings, engine = open_database(config)
    if number is None:
        show(
            list(map(told, all_deletions(engine))),
            "Nothing was deleted over the API in the last 30 days.",
            as_json=as_json,
        )
        return
    steps = undelete_in_steps(partial(transaction, engine), number, settings.energy.max_gap_s)
    came = sum(steps)
    left = {each.number: each.measures for each in all_deletions(engine)}.get(number, 0)
    if as_json:
        click.echo(json.dumps({"number": number, "measures": came, "left": left}))
        return
    click.echo(f"Measures that are back: {came:,}.")
    if left:
        click.echo(f"Not back: {left:,}; keep_measures has let those of their time go.")


def told(deletion: Deletion) -> dict[str, str | int]:
    """A deletion as the list has it."""
    return {
        "number": deletion.number,
        "deleted": iso_utc(deletion.at_ts),
        "by": deletion.by.name,
        "address": deletion.by.address,
        "sensor": deletion.sensor_id,
        "from": iso_utc(deletion.first_ts),
        "to": iso_utc(deletion.last_ts),
        "measures": deletion.measures,
    }


@click.group("rollups")
def rollups() -> None:
    """The sums by quarter hour, hour and day from which long ranges are answered.

    They follow every change of the measures by themselves. Both commands may be used while the
    bridge runs.
    """


@rollups.command("check")
@AS_JSON
@click.pass_obj
def rollups_check(config: Path | None, *, as_json: bool) -> None:
    """Compare all sums with the measures. Exit code 1: some are wrong."""
    from cw_mqtt.commands.audit import Cell, check_rollups

    settings, engine = open_database(config)
    wrong: list[Cell] = []
    show_progress(
        "Comparing", check_rollups(engine, settings.energy.max_gap_s, wrong), hidden=as_json
    )
    if as_json:
        names = ("sensor_id", "seconds", "start_ts")
        click.echo(json.dumps([dict(zip(names, found, strict=True)) for found in wrong]))
    for sensor_id, span_s, start_ts in () if as_json else wrong[:MOST_TOLD]:
        click.echo(f"sensor {sensor_id}: wrong from {iso_utc(start_ts)} for {span_s} s")
    if wrong:
        raise BridgeError(f"wrong sums: {len(wrong)}; cw-mqtt rollups rebuild mends them")
    click.echo("All sums are right.", err=as_json)


@rollups.command("rebuild")
@click.pass_obj
def rollups_rebuild(config: Path | None) -> None:
    """Compute all sums anew from the measures.

    It goes on where it was if it is broken off; the bridge does so too when it starts. Until it
    is done, long ranges are added up from the measures, which takes longer.
    """
    from cw_mqtt.store.rollups import build, forget

    settings, engine = open_database(config)
    forget(engine)
    show_progress("Adding up", build(engine, settings.energy.max_gap_s))
    click.echo("All sums are computed.")


HISTORY = (
    export_command,
    import_command,
    undelete_command,
    backup_command,
    restore_command,
    rollups,
)


def parse_instant(text: str | None, settings: Settings) -> int | None:
    """The instant in an option. Raises `UsageError`."""
    try:
        return instant_of(text, settings.timezone) if text else None
    except ValueError as error:
        raise UsageError(str(error)) from error
