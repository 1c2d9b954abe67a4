"""How far a journal was read, kept in the database beside the rows that came from it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.journal import Entry, Journal
from cw_mqtt.store.tables import bridge_positions

OF_JOURNAL = select(
    bridge_positions.c.seq, bridge_positions.c.newest_ts, bridge_positions.c.last_reading
).where(bridge_positions.c.journal_id == bindparam("journal"))
LAST_INSTALLATION = (
    select(bridge_positions.c.installation).order_by(bridge_positions.c.newest_ts.desc()).limit(1)
)
ADVANCE = (
    update(bridge_positions)
    .where(bridge_positions.c.journal_id == bindparam("journal"))
    .where(bridge_positions.c.seq == bindparam("before"))
    .values(seq=bindparam("after"), newest_ts=bindparam("ts"), last_reading=bindparam("last"))
)


@dataclass(frozen=True, slots=True)
class Position:
    """The last sequence number that is in the database, and the newest time ever stored.

    `last_reading` tells whether a journal still has that very reading under that number.
    """

    seq: int = 0
    newest_ts: int = 0
    last_reading: str = ""

    def after(self, entries: Sequence[Entry]) -> "Position":
        """The position once these entries, in order, are stored."""
        if not entries:
            return self
        newest_ts = max(self.newest_ts, *(entry.reading.ts for entry in entries))
        return Position(entries[-1].seq, newest_ts, told(entries[-1]))

    def is_beyond(self, journal: Journal) -> bool:
        """Whether the journal is an old copy, which has other readings under these numbers."""
        _, newest = journal.span()
        there = journal.readings_after(self.seq - 1, 1)
        differs = there and there[0].seq == self.seq and told(there[0]) != self.last_reading
        return self.seq > newest or bool(differs)


def told(entry: Entry) -> str:
    """What tells a reading from others that had its number."""
    reading = entry.reading
    return f"{reading.sensor} {reading.ts} {reading.power_w} {reading.battery_mv}"


def take_up(connection: Connection, journal: Journal) -> Position:
    """Where to go on with this journal; one that the database does not know begins at 0.

    A new journal that replaces a lost one goes by the installation name of the lost one.
    """
    row = connection.execute(OF_JOURNAL, {"journal": journal.id}).first()
    if row:
        return Position(*row)
    remembered = connection.execute(LAST_INSTALLATION).scalar()
    if remembered and not any(state.energy.loaded for state in journal.states().values()):
        journal.take_installation(remembered)
    start = Position()
    connection.execute(
        insert(bridge_positions).values(
            journal_id=journal.id,
            seq=start.seq,
            newest_ts=start.newest_ts,
            last_reading=start.last_reading,
            installation=journal.installation,
        )
    )
    return start


def advance(connection: Connection, journal_id: str, before: Position, after: Position) -> None:
    """Move the position in the transaction that stores the entries between.

    Raises `ResourceAwayError` when the position is not `before`: the database was restored from
    a backup, or somebody else stores the same journal. The next try begins where it stands.
    """
    values = {"after": after.seq, "ts": after.newest_ts, "last": after.last_reading}
    step = {"journal": journal_id, "before": before.seq, **values}
    if connection.execute(ADVANCE, step).rowcount != 1:
        raise ResourceAwayError("the database is not where this journal left it (restored?)")
