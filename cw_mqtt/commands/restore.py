"""`cw-mqtt restore`: a database filled with a backup."""

from pathlib import Path

import click

from cw_mqtt.commands.backup import begin_empty, check_backup, restore_backup
from cw_mqtt.commands.common import open_database, show_progress
from cw_mqtt.errors import UsageError


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
