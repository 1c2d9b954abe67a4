"""Backups: all tables and the journal in one zip, the same for SQLite and PostgreSQL.

A table is a member `<table>.jsonl`: a line for each row, a JSON array whose columns are named in
the member `manifest.json`. There are the numbers of rows and their checksums too: the sum of the
SHA-256 of all lines, since each database gives the rows in an order of its own.
"""

import hashlib
import json
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

import click
from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection, Engine, Table, delete, insert, select, text

from cw_mqtt import __version__
from cw_mqtt.commands.common import open_database, show_progress, written_whole
from cw_mqtt.commands.journals import NAME as JOURNAL
from cw_mqtt.commands.journals import copy_journal, filters_in, journal_id, names_in, take_journal
from cw_mqtt.errors import BridgeError, InUseError, UsageError
from cw_mqtt.journal.file import hold
from cw_mqtt.model import iso_utc
from cw_mqtt.store.content import Content, count_rows
from cw_mqtt.store.engine import UTF_8, codec_of, filling, place, snapshot, transaction
from cw_mqtt.store.positions import begin, is_known
from cw_mqtt.store.schema import HEAD, REVISIONS
from cw_mqtt.store.sequences import repair_sequences
from cw_mqtt.store.tables import metadata

MANIFEST = "manifest.json"
ROWS_AT_ONCE = 5000
TABLES = metadata.sorted_tables  # those that others refer to come first

Lines = list[bytes]


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def backup_command(config: Path | None, file: Path) -> None:
    """Write the database and the journal into FILE, and read it back.

    The bridge may run meanwhile. FILE holds logins and the history of a home, and can be read by
    you alone. Keep config.yaml beside it: it has the sensors' keys, and is not in FILE.
    """

    settings, engine = open_database(config)
    with written_whole(file) as part:
        shares = write_backup(engine, settings.data_dir, part, time.time())
        show_progress("Writing", shares)
        show_progress("Reading back", check_backup(part))
    click.echo(f"{file} is written, and reads as the database did.")


class Kept(BaseModel):
    """A table in the backup."""

    columns: tuple[str, ...]
    rows: int
    sha256_sum: str

    def is_of(self, content: Content) -> bool:
        """Whether these are the rows that were written."""
        return (self.rows, self.sha256_sum) == (content.rows, content.checksum)


class KeptJournal(BaseModel):
    """The journal in the backup; `id` tells it from those of other installations."""

    id: str
    sha256: str


class Manifest(BaseModel):
    """What a backup says of itself; `form` is that of the tables, `journal` None if none was."""

    form: str
    program: str
    created: str
    tables: dict[str, Kept]
    journal: KeptJournal | None

    @property
    def rows(self) -> int:
        """How many there are in all tables."""
        return sum(table.rows for table in self.tables.values())


def write_backup(engine: Engine, data_dir: Path, path: Path, now_ts: float) -> Iterator[float]:
    """Write everything as it is at one moment, also while the bridge runs; yields the share done.

    The journal is copied last: what the database does not have yet is in it.
    """
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        tables: dict[str, Kept] = {}
        with snapshot(engine) as connection:
            counts = {table: count_rows(connection, table) for table in TABLES}
            share = Share(sum(counts.values()))
            for table, count in counts.items():
                columns = tuple(table.columns.keys())
                content = Content()
                with archive.open(member(table.name), "w", force_zip64=True) as file:
                    for lines in lines_of(connection, table, columns):
                        file.write(b"".join(lines))
                        content = content.with_rows(lines)
                        yield share.after(lines)
                tables[table.name] = Kept(columns=columns, rows=count, sha256_sum=content.checksum)
        manifest = Manifest(
            form=HEAD,
            program=__version__,
            created=iso_utc(now_ts),
            tables=tables,
            journal=add_journal(archive, path.parent, data_dir / JOURNAL),
        )
        archive.writestr(MANIFEST, manifest.model_dump_json(indent=2))


def check_backup(path: Path) -> Iterator[float]:
    """Read a backup through and compare it with its manifest; yields the share done.

    Raises `UsageError` when it is no backup, or not as it was written.
    """
    with opened(path) as (archive, manifest):
        share = Share(manifest.rows)
        for name, kept in manifest.tables.items():
            content = Content()
            for lines in lines_in(archive, name):
                content = content.with_rows(lines)
                yield share.after(lines)
            if not kept.is_of(content):
                raise UsageError(f"{path} is damaged: the table {name} is not as it was written")
        if manifest.journal:
            with archive.open(JOURNAL) as file:
                digest = hashlib.file_digest(file, "sha256")  # type: ignore[arg-type]  # typeshed asks for more than it calls
                if digest.hexdigest() != manifest.journal.sha256:
                    raise UsageError(f"{path} is damaged: the journal is not as it was written")
        for name in filters_in(archive.namelist()):
            archive.read(name)  # compared by the zip itself


def restore_backup(engine: Engine, data_dir: Path, path: Path, *, replace: bool) -> Iterator[float]:
    """Fill the database, all or nothing, read it back, then take the journal.

    Yields the share done. A journal that this database knows is kept: it is as new as the
    backup's, and brings what was measured since. Raises `InUseError` while the bridge runs,
    unless it waits for this, `UsageError` when there is something and not `replace`.
    """
    with ExitStack() as held, opened(path) as (archive, manifest):
        try:
            held.enter_context(closing(hold(data_dir)))
            takes_journal = is_journal_taken(manifest, data_dir / JOURNAL, replace=replace)
        except InUseError:
            takes_journal = False
            if not is_waited_for(engine, manifest, data_dir / JOURNAL):
                raise
        with filling(engine) as connection:
            if not replace and any(count_rows(connection, table) for table in TABLES):
                raise UsageError(f"{place(engine.url)} is not empty; --replace empties it first")
            share = Share(2 * manifest.rows)
            yield from fill_tables(connection, archive, manifest, share)
            yield from compare_tables(connection, manifest, share)
        if takes_journal:
            with archive.open(JOURNAL) as copy:
                take_journal(copy, data_dir / JOURNAL)
            archive.extractall(data_dir, filters_in(archive.namelist()))


def is_waited_for(engine: Engine, manifest: Manifest, journal: Path) -> bool:
    """Whether the bridge that runs here writes nothing until this history is restored."""
    names = names_in(journal)
    if manifest.journal is None or manifest.journal.id != names["journal"]:
        return False
    with transaction(engine) as connection:
        is_empty = not any(count_rows(connection, table) for table in TABLES)
    return is_empty and names.get("database", place(engine.url)) != place(engine.url)


def begin_empty(engine: Engine, data_dir: Path) -> None:
    """Let the bridge use a database that does not have its history so far.

    Raises `UsageError` when there is nothing to wait for.
    """
    journal = data_dir / JOURNAL
    names = names_in(journal) if journal.exists() else {}
    with transaction(engine) as connection:
        if not names or is_known(connection, names["journal"]):
            raise UsageError(f"{place(engine.url)} needs no history: nothing waits for it")
        begin(connection, names["journal"], names["installation"])


def fill_tables(
    connection: Connection, archive: ZipFile, manifest: Manifest, share: "Share"
) -> Iterator[float]:
    """Put the rows of the backup in the place of all rows."""
    for table in reversed(TABLES):
        connection.execute(delete(table))
    for table, kept in kept_tables(manifest):
        for lines in lines_in(archive, table.name):
            rows = [dict(zip(kept.columns, json.loads(line), strict=True)) for line in lines]
            connection.execute(insert(table), rows)
            yield share.after(lines)
    repair_sequences(connection)
    if connection.dialect.name == "postgresql":
        connection.execute(text("ANALYZE"))  # or its first plans are bad


def compare_tables(connection: Connection, manifest: Manifest, share: "Share") -> Iterator[float]:
    """Read all rows back. Raises `BridgeError` when they are not those of the backup."""
    for table, kept in kept_tables(manifest):
        content = Content()
        for lines in lines_of(connection, table, kept.columns):
            content = content.with_rows(lines)
            yield share.after(lines)
        if not kept.is_of(content):
            lacks = codec_of(connection) != UTF_8
            remedy = "; make the database with ENCODING 'UTF8'" if lacks else ""
            raise BridgeError(f"{table.name} came out otherwise; nothing was changed{remedy}")


def add_journal(archive: ZipFile, folder: Path, journal: Path) -> KeptJournal | None:
    """Put a copy of the journal in the backup, made in `folder`; None when there is none."""
    if not journal.exists():
        return None
    with tempfile.TemporaryDirectory(dir=folder) as own_folder:
        copy = Path(own_folder) / JOURNAL
        copy_journal(journal, copy)
        archive.write(copy, JOURNAL)
        with copy.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        for name in filters_in(path.name for path in journal.parent.iterdir()):
            archive.write(journal.with_name(name), name)
        return KeptJournal(id=journal_id(copy), sha256=digest)


def is_journal_taken(manifest: Manifest, journal: Path, *, replace: bool) -> bool:
    """Whether the backup's journal is to take the place of the one that is here, if any is."""
    if manifest.journal is None or not journal.exists():
        return manifest.journal is not None
    is_same = journal_id(journal) == manifest.journal.id
    if not is_same and not replace:
        raise UsageError(f"{journal} is another installation's; --replace puts the backup's there")
    return not is_same


class Share:
    """Which share of some rows is done."""

    def __init__(self, rows: int) -> None:
        self._rows = max(1, rows)
        self._done = 0

    def after(self, lines: Lines) -> float:
        """The share once these are done too."""
        self._done += len(lines)
        return self._done / self._rows


@contextmanager
def opened(path: Path) -> Iterator[tuple[ZipFile, Manifest]]:
    """A backup to read. Raises `UsageError`, also for what is found wrong while reading."""
    try:
        with ZipFile(path) as archive:
            manifest = Manifest.model_validate_json(archive.read(MANIFEST))
            if manifest.form not in REVISIONS:
                raise UsageError(f"{path} was written by cw-mqtt {manifest.program}; update this")
            yield archive, manifest
    except (BadZipFile, KeyError, ValidationError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} is damaged, or no backup of cw-mqtt: {error}") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def member(name: str) -> str:
    """The file in the zip that has a table."""
    return f"{name}.jsonl"


def lines_of(connection: Connection, table: Table, columns: Sequence[str]) -> Iterator[Lines]:
    """The rows of a table as lines, some thousand at a time."""
    query = select(*(table.c[name] for name in columns))
    result = connection.execute(query.execution_options(yield_per=ROWS_AT_ONCE))
    for rows in result.partitions():
        yield [line_of(row) for row in rows]


def line_of(row: Iterable[Any]) -> bytes:
    """A row as a line; numbers come out of it exactly as they went in."""
    return json.dumps(list(row), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def lines_in(archive: ZipFile, name: str) -> Iterator[Lines]:
    """The lines of a table in a backup, some thousand at a time."""
    with archive.open(member(name)) as file:
        while lines := list(islice(file, ROWS_AT_ONCE)):
            yield lines


def kept_tables(manifest: Manifest) -> list[tuple[Table, Kept]]:
    """The tables in a backup, those that others refer to first; older backups have fewer."""
    tables = manifest.tables
    return [(table, tables[table.name]) for table in TABLES if table.name in tables]
