"""The journal in a backup: copied while the bridge runs, and put back."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import IO

from cw_mqtt.errors import BridgeError

NAME = "journal.sqlite"


def copy_journal(journal: Path, copy: Path) -> None:
    """Copy the journal as it is at one moment. Raises `BridgeError` when it is damaged."""
    with closing(sqlite3.connect(journal)) as here, closing(sqlite3.connect(copy)) as there:
        here.backup(there)
        if there.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise BridgeError(f"{journal} is damaged; no backup of it was made")


def journal_id(journal: Path) -> str:
    """What tells this journal from others; nothing for one that cannot be read."""
    with closing(sqlite3.connect(journal)) as connection:
        try:
            row = connection.execute("SELECT value FROM meta WHERE name = 'journal'").fetchone()
        except sqlite3.DatabaseError:
            return ""
    return str(row[0])


def take_journal(copy: IO[bytes], journal: Path) -> None:
    """Put a copy in the place of the journal, all of it or nothing.

    Totals may have been published since it was made: the broker is to be asked for them, so that
    none falls.
    """
    part = journal.with_name(f"{journal.name}.part")
    with part.open("wb") as file:
        shutil.copyfileobj(copy, file)
    with closing(sqlite3.connect(part)) as connection, connection:
        connection.execute(
            "UPDATE sensors SET state = json_set(state, '$.energy.published', json('false'))"
        )
    for rest in ("-wal", "-shm"):
        journal.with_name(journal.name + rest).unlink(missing_ok=True)
    part.replace(journal)
