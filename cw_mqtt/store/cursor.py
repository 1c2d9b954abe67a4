"""How far a journal was read, kept in the database beside the rows that came from it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, bindparam, insert, inspect, select, update

from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.journal.journal import Journal
from cw_mqtt.journal.rows import Entry
from cw_mqtt.store.tables import cursors

log = logging.getLogger(__name__)

LEFT_BEHIND = (
    "{new} does not have the history: measures, edits and logins are in {old}. To move "
    "them while this runs: put the old database.url back, cw-mqtt backup FILE, write the "
    "new one, cw-mqtt restore FILE. Or cw-mqtt restore --empty, to start without them. Until then "
    "readings stay in the journal; totals continue"
)

THIS = cursors.c.journal_id == bindparam("journal")
OF_JOURNAL = select(cursors).where(THIS)
LAST_INSTALLATION = select(cursors.c.installation).order_by(cursors.c.seq.desc()).limit(1)
ADVANCE = (
    update(cursors).where(THIS, cursors.c.seq == bindparam("before")).values(seq=bindparam("after"))
)
NOTE_RUNS = update(cursors).where(THIS).values(runs=bindparam("known"))


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last sequence number that is in the database, and the runs of the journal known there."""

    seq: int = 0
    runs: frozenset[str] = frozenset()

    def after(self, entries: Sequence[Entry]) -> "Cursor":
        """The cursor once these entries, in order, are stored."""
        return replace(self, seq=entries[-1].seq) if entries else self


def is_known(connection: Connection, journal_id: str) -> bool:
    """Whether the database has stored readings of this journal."""
    there = inspect(connection).has_table(cursors.name)
    return there and connection.execute(OF_JOURNAL, {"journal": journal_id}).first() is not None


def refuse_other(connection: Connection, journal: Journal, place: str) -> None:
    """Raise `ResourceAwayError` when the history is in another database, and not in this one.

    One that was lost is not another one: it begins again with what the journal has.
    """
    if journal.database is None or is_known(connection, journal.id):
        return
    if journal.database != place:
        raise ResourceAwayError(LEFT_BEHIND.format(new=place, old=journal.database))
    log.error(
        "%s no longer has what was stored there: was it lost, or emptied? It begins again with "
        "what the journal has, at least the last seven days; cw-mqtt restore brings back a backup",
        place,
    )


def begin(connection: Connection, journal_id: str, installation: str) -> None:
    """Have the database take this journal's readings from the first it still has."""
    start = {"journal_id": journal_id, "seq": 0, "installation": installation, "runs": ""}
    connection.execute(insert(cursors).values(start))


def load_cursor(connection: Connection, journal: Journal) -> Cursor:
    """Where to go on with this journal; one that the database does not know begins at 0.

    A new journal that replaces a lost one, or an old copy of that, goes by the installation name
    of the lost one. An old copy gives none of the numbers again that the database has seen.
    """
    row = connection.execute(OF_JOURNAL, {"journal": journal.id}).first()
    remembered = row.installation if row else connection.execute(LAST_INSTALLATION).scalar()
    if remembered and not any(state.energy.loaded for state in journal.states().values()):
        journal.take_installation(remembered)
    if not row:
        begin(connection, journal.id, journal.installation)
    cursor = Cursor(row.seq, frozenset(row.runs.split())) if row else Cursor()
    first = first_unknown(cursor, journal)
    if first <= cursor.seq:
        log.error(
            "the journal is an old copy: readings up to %s are in the database, and not those "
            "it has under these numbers; new ones are numbered above that",
            cursor.seq,
        )
        journal.continue_after(cursor.seq, first)
    tell_missing(cursor, journal)
    return note_runs(connection, cursor, journal)


def first_unknown(cursor: Cursor, journal: Journal) -> int:
    """From which number on the journal has readings of runs that the database has not seen.

    At or below the cursor these numbers were given before: the journal is an old copy.
    """
    unknown = (first for run, first in journal.runs.items() if run not in cursor.runs)
    return min(unknown, default=cursor.seq + 1)


def tell_missing(cursor: Cursor, journal: Journal) -> None:
    """Say which readings are nowhere any more, as after a restored backup of long ago."""
    oldest, _ = journal.span()
    if cursor.seq < oldest - 1:
        log.error(
            "readings %s to %s are lost: neither the database nor the journal has them",
            cursor.seq + 1,
            oldest - 1,
        )


def note_runs(connection: Connection, cursor: Cursor, journal: Journal) -> Cursor:
    """Have the database know the runs of the journal so far."""
    cursor = replace(cursor, runs=cursor.runs | journal.runs.keys())
    known = " ".join(sorted(cursor.runs))
    connection.execute(NOTE_RUNS, {"journal": journal.id, "known": known})
    return cursor


def advance(connection: Connection, journal_id: str, before: Cursor, after: Cursor) -> None:
    """Move the cursor in the transaction that stores the entries between.

    Raises `ResourceAwayError` when the cursor is not `before`: the database was restored from
    a backup, or somebody else stores the same journal. The next try begins where it stands.
    """
    step = {"journal": journal_id, "before": before.seq, "after": after.seq}
    if connection.execute(ADVANCE, step).rowcount != 1:
        raise ResourceAwayError("the database is not where this journal left it (restored?)")
