"""`cw-mqtt backup`: all tables and the journal in one zip, the same for SQLite and PostgreSQL.

A table is a member `<table>.jsonl`: a line for each row, a JSON array whose columns are named in
the member `manifest.json`. Each member has a CRC-32, as in any zip.
"""

import json
import re
import shutil
import sqlite3
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

import click
from pydantic import BaseModel
from sqlalchemy import Connection, Engine

from cw_mqtt import __version__
from cw_mqtt.commands.common import open_database, shares_of, show_progress, written_whole
from cw_mqtt.errors import BridgeError, UsageError
from cw_mqtt.journal.replay_filter import NAME as FILTER
from cw_mqtt.model import iso_utc
from cw_mqtt.store.dump import (
    DUMPED_AT_ONCE,
    Rows,
    TableEntry,
    Tables,
    rows_of,
    stored_tables,
    total_rows,
)
from cw_mqtt.store.engine import snapshot
from cw_mqtt.store.schema import HEAD, refuse_newer

MANIFEST = "manifest.json"
JOURNAL = "journal.sqlite"
WAL_HEAD_BYTES = 32  # https://www.sqlite.org/fileformat2.html#walformat
BYTES_AT_ONCE = 1 << 20


class Manifest(BaseModel):
    """What a backup says of itself; `journal` is what the journal calls itself, if there is one."""

    revision: str
    program: str
    created: str
    tables: dict[str, TableEntry]
    journal: str | None


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
    click.echo(f"{file} is written, and was read back.")


def write_backup(engine: Engine, data_dir: Path, path: Path, now_ts: float) -> Iterator[float]:
    """Write everything as it is at one moment, also while the bridge runs; yields the share done.

    The journal is copied last: what the database does not have yet is in it.
    """
    with ZipFile(path, "w", ZIP_DEFLATED) as zip_file:
        with snapshot(engine) as connection:
            tables = stored_tables(connection)
            yield from shares_of(total_rows(tables), _write_tables(zip_file, connection, tables))
        manifest = Manifest(
            revision=HEAD,
            program=__version__,
            created=iso_utc(now_ts),
            tables=tables,
            journal=_write_journal(zip_file, path.parent, data_dir / JOURNAL),
        )
        zip_file.writestr(MANIFEST, manifest.model_dump_json(indent=2))


def check_backup(path: Path) -> Iterator[float]:
    """Read a backup through; yields the share done.

    Raises `UsageError` when it is no backup, or not as it was written.
    """
    with opened(path) as (zip_file, _):
        members = zip_file.infolist()
        yield from shares_of(sum(m.file_size for m in members), _read_through(zip_file))


@contextmanager
def opened(path: Path) -> Iterator[tuple[ZipFile, Manifest]]:
    """A backup to read. Raises `UsageError`, also for what is found wrong while reading."""
    try:
        with ZipFile(path) as zip_file:
            manifest = Manifest.model_validate_json(zip_file.read(MANIFEST))
            refuse_newer(manifest.revision, str(path))
            yield zip_file, manifest
    except (BadZipFile, KeyError, ValueError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} is damaged, or no backup of cw-mqtt: {error}") from error
    except OSError as error:
        raise UsageError(f"cannot use {error.filename or path}: {error.strerror}") from error


def rows_in_backup(zip_file: ZipFile, name: str) -> Iterator[Rows]:
    """The rows of a table, some thousand at a time; numbers are exactly what they were."""
    with zip_file.open(_member(name)) as file:
        while lines := list(islice(file, DUMPED_AT_ONCE)):
            yield [json.loads(line) for line in lines]


def filters_in(names: Iterable[str]) -> list[str]:
    """Those of some files' names that are replay filters, which go with the journal."""
    return [name for name in names if re.fullmatch(re.escape(FILTER) + "[0-9]+", name)]


def copy_journal(journal: Path, copy: Path) -> dict[str, str]:
    """Copy the journal as it is at one moment; what it, its installation and database are called.

    A running bridge lets no other program open it, so its two files are copied. What moves from
    one to the other meanwhile is in both, unless the second one began anew. Raises `BridgeError`
    when it is damaged.
    """
    wal, wal_copy = (path.with_name(f"{path.name}-wal") for path in (journal, copy))
    before = None
    while before is None or before != _head(wal):
        before = _head(wal)
        shutil.copyfile(journal, copy)
        wal_copy.write_bytes(wal.read_bytes() if wal.exists() else b"")
    with closing(sqlite3.connect(copy)) as connection:
        try:
            if connection.execute("PRAGMA integrity_check").fetchone() == ("ok",):
                connection.execute("PRAGMA journal_mode = DELETE")  # one file again
                query = "SELECT name, state FROM states WHERE name NOT LIKE 'sensor:%'"
                return dict(connection.execute(query).fetchall())
        except sqlite3.DatabaseError as error:
            raise BridgeError(f"{journal} is damaged ({error}); it cannot be copied") from error
    raise BridgeError(f"{journal} is damaged; it cannot be copied")


def _write_tables(zip_file: ZipFile, connection: Connection, tables: Tables) -> Iterator[int]:
    for name, entry in tables.items():
        with zip_file.open(_member(name), "w", force_zip64=True) as file:
            for rows in rows_of(connection, name, entry.columns):
                file.write(b"".join(map(_line_of, rows)))
                yield len(rows)


def _line_of(row: Iterable[Any]) -> bytes:
    return json.dumps(list(row), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _write_journal(zip_file: ZipFile, folder: Path, journal: Path) -> str | None:
    """Put a copy of the journal in the backup, made in `folder`; what it calls itself, if any."""
    if not journal.exists():
        return None
    with tempfile.TemporaryDirectory(dir=folder) as own_folder:
        copy = Path(own_folder) / JOURNAL
        names = copy_journal(journal, copy)
        zip_file.write(copy, JOURNAL)
    for name in filters_in(path.name for path in journal.parent.iterdir()):
        zip_file.write(journal.with_name(name), name)
    return names["journal"]


def _read_through(zip_file: ZipFile) -> Iterator[int]:
    for member in zip_file.infolist():
        with zip_file.open(member) as file:
            while piece := file.read(BYTES_AT_ONCE):
                yield len(piece)


def _head(wal: Path) -> bytes:
    """What changes each time that a write-ahead log begins anew."""
    if not wal.exists():
        return b""
    with wal.open("rb") as file:
        return file.read(WAL_HEAD_BYTES)


def _member(name: str) -> str:
    return f"{name}.jsonl"
