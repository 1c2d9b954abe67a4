"""`cw-mqtt restore`: a database filled with a backup, or a new one begun without its history."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import IO

import click
from sqlalchemy import Engine

from cw_mqtt.commands.backup import (
    JOURNAL,
    Manifest,
    check_backup,
    copy_journal,
    filters_in,
    opened,
    rows_in_backup,
)
from cw_mqtt.commands.common import open_database, shares_of, show_progress
from cw_mqtt.errors import BridgeError, InUseError, UsageError
from cw_mqtt.journal.file import hold
from cw_mqtt.store.cursor import begin, is_known
from cw_mqtt.store.dump import fill, is_empty, total_rows
from cw_mqtt.store.engine import filling, place, transaction


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--replace", is_flag=True, help="Empty the database first.")
@click.option("--empty", is_flag=True, help="No FILE: begin here without the history so far.")
@click.pass_obj
def restore_command(config: Path | None, file: Path | None, *, replace: bool, empty: bool) -> None:
    """Fill the database with the backup FILE, all or nothing.

    FILE may come from the other kind of database, so this is also a way to move: a bridge that
    runs, and waits for its history in a new database, is given it. Otherwise stop the bridge
    before. A journal that belongs to the backup stays, with what was measured since.
    """
    if (file is None) != empty:
        raise UsageError("expected either the FILE of a backup, or --empty")
    if file is None:
        settings, engine = open_database(config)
        begin_empty(engine, settings.data_dir)
        click.echo("A new history begins here; the old database stays as it is.")
        return
    show_progress("Checking", check_backup(file))
    settings, engine = open_database(config)
    shares = restore_backup(engine, settings.data_dir, file, replace=replace)
    show_progress("Restoring", shares)
    click.echo(f"{file} is restored.")


def restore_backup(engine: Engine, data_dir: Path, path: Path, *, replace: bool) -> Iterator[float]:
    """Fill the database, all or nothing, then take the journal; yields the share done.

    A journal that this database knows is kept: it is as new as the backup's, and brings what was
    measured since. Raises `InUseError` while the bridge runs, unless it waits for this,
    `UsageError` when there is something and not `replace`.
    """
    journal = data_dir / JOURNAL
    with ExitStack() as held, opened(path) as (zip_file, manifest):
        try:
            held.enter_context(closing(hold(data_dir)))
            takes_journal = _is_journal_taken(manifest, journal, replace=replace)
        except InUseError:
            takes_journal = False
            if not _is_waited_for(engine, manifest, journal):
                raise
        with filling(engine) as connection:
            if not (replace or is_empty(connection)):
                raise UsageError(f"{place(engine.url)} is not empty; --replace empties it first")
            counts = fill(connection, manifest.tables, partial(rows_in_backup, zip_file))
            yield from shares_of(total_rows(manifest.tables), counts)
        if takes_journal:
            with zip_file.open(JOURNAL) as copy:
                _take_journal(copy, journal)
            zip_file.extractall(data_dir, filters_in(zip_file.namelist()))


def begin_empty(engine: Engine, data_dir: Path) -> None:
    """Let the bridge use a database that does not have its history so far.

    Raises `UsageError` when there is nothing to wait for.
    """
    names = _names_of(data_dir / JOURNAL)
    with transaction(engine) as connection:
        if not names or is_known(connection, names["journal"]):
            raise UsageError(f"{place(engine.url)} is not waiting for a restore")
        begin(connection, names["journal"], names["installation"])


def _is_waited_for(engine: Engine, manifest: Manifest, journal: Path) -> bool:
    """Whether the bridge that runs here writes nothing until this history is restored."""
    names = _names_of(journal)
    if manifest.journal is None or manifest.journal != names.get("journal"):
        return False
    with transaction(engine) as connection:
        is_other = names.get("database", place(engine.url)) != place(engine.url)
        return is_other and is_empty(connection)


def _is_journal_taken(manifest: Manifest, journal: Path, *, replace: bool) -> bool:
    """Whether the backup's journal is to take the place of the one that is here, if any is."""
    if manifest.journal is None or not journal.exists():
        return manifest.journal is not None
    is_same = _names_of(journal).get("journal") == manifest.journal
    if not is_same and not replace:
        raise UsageError(f"{journal} is another installation's; --replace puts the backup's there")
    return not is_same


def _names_of(journal: Path) -> dict[str, str]:
    """What a journal is called, also while it is open; nothing where it is damaged or missing."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return copy_journal(journal, Path(folder) / JOURNAL)
        except (BridgeError, OSError):
            return {}


def _take_journal(copy: IO[bytes], journal: Path) -> None:
    """Put a copy in the place of the journal, all of it or nothing."""
    part = journal.with_name(f"{journal.name}.part")
    with part.open("wb") as file:
        shutil.copyfileobj(copy, file)
    for rest in ("-wal", "-shm"):
        journal.with_name(journal.name + rest).unlink(missing_ok=True)
    part.replace(journal)
