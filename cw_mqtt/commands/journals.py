"""The journal in a backup: copied while the bridge runs, and put back."""

import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import IO

from cw_mqtt.errors import BridgeError

NAME = "journal.sqlite"
WAL_HEAD_BYTES = 32  # https://www.sqlite.org/fileformat2.html#walformat


def copy_journal(journal: Path, copy: Path) -> None:
    """Copy the journal as it is at one moment. Raises `BridgeError` when it is damaged.

    A running bridge lets no other program open it, so its two files are copied. What moves from
    one to the other meanwhile is in both, unless the second one began anew.
    """
    wal, wal_copy = journal.with_name(f"{journal.name}-wal"), copy.with_name(f"{copy.name}-wal")
    before = None
    while before is None or before != head(wal):
        before = head(wal)
        shutil.copyfile(journal, copy)
        wal_copy.write_bytes(wal.read_bytes() if wal.exists() else b"")
    with closing(sqlite3.connect(copy)) as connection:
        try:
            checked = connection.execute("PRAGMA integrity_check").fetchone()
            connection.execute("PRAGMA journal_mode = DELETE")  # one file again
        except sqlite3.DatabaseError as error:
            checked = (str(error),)
        if checked != ("ok",):
            raise BridgeError(f"{journal} is damaged; no backup of it was made")


def head(wal: Path) -> bytes:
    """What changes each time that a write-ahead log begins anew."""
    if not wal.exists():
        return b""
    with wal.open("rb") as file:
        return file.read(WAL_HEAD_BYTES)


def filters_in(names: Iterable[str]) -> list[str]:
    """Those of some files' names that are filters of what was ever heard."""
    return [name for name in names if re.fullmatch(r"heard\.[0-9]+", name)]


def journal_id(journal: Path) -> str:
    """What tells this journal from others; nothing for one that cannot be read."""
    with closing(sqlite3.connect(journal)) as connection:
        try:
            row = connection.execute("SELECT state FROM states WHERE name = 'journal'").fetchone()
        except sqlite3.DatabaseError:
            return ""
    return str(row[0])


def names_in(journal: Path) -> dict[str, str]:
    """What a journal, its installation and its database are called, also while it is open."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / NAME
        copy_journal(journal, copy)
        with closing(sqlite3.connect(copy)) as connection:
            query = "SELECT name, state FROM states WHERE name NOT LIKE 'sensor:%'"
            return dict(connection.execute(query).fetchall())


def take_journal(copy: IO[bytes], journal: Path) -> None:
    """Put a copy in the place of the journal, all of it or nothing."""
    part = journal.with_name(f"{journal.name}.part")
    with part.open("wb") as file:
        shutil.copyfileobj(copy, file)
    for rest in ("-wal", "-shm"):
        journal.with_name(journal.name + rest).unlink(missing_ok=True)
    part.replace(journal)
