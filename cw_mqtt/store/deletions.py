"""Measures that are deleted over the API: kept for a month, so that they can be brought back.

All of it goes in steps of a transaction each, between which others write. Whatever breaks it off,
each measure is either among `measures`, and in the sums, or among `deleted_measures`.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, or_, select, update

from cw_mqtt.errors import UsageError
from cw_mqtt.model import iso_utc
from cw_mqtt.records import Author, Deletion, Key, Range
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.measures import COLUMNS, int64
from cw_mqtt.store.ranges import LISTED, TIMES, bounds, way
from cw_mqtt.store.rollups import ALL, lock, refresh
from cw_mqtt.store.tables import deleted_measures, deletions, measures

DELETED_AT_ONCE = 10_000  # a fifth of a second
BETWEEN_STEPS_S = 0.15  # who waits to write into SQLite looks each tenth of a second
KEPT_S = 30 * 86400

Writing = Callable[[], AbstractContextManager[Connection]]

column, deletion, kept = measures.c, deletions.c, deleted_measures.c
from_ts, until_ts, number = int64("from_ts"), int64("until_ts"), int64("number")

# `id + 0`: with its plain column SQLite would go by the ids, of all sensors
CHOSEN = (
    (column.sensor_id == int64("sensor_id"))
    & (column.timestamp >= from_ts)
    & (column.timestamp < until_ts)
    & column.value.is_not(None)
    & (column.id + 0 >= int64("first_id"))
    & (column.id + 0 < int64("until_id"))
    & or_(column.timestamp > int64("oldest_ts"), column.id + 0 >= int64("oldest_id"))
    & or_(column.timestamp < int64("newest_ts"), column.id + 0 <= int64("newest_id"))
)
EVERYTHING = {
    "first_id": 0,
    "until_id": ALL,
    "oldest_ts": -ALL,
    "oldest_id": 0,
    "newest_ts": ALL,
    "newest_id": ALL,
}
KEPT = (kept.deletion_id == number) & (kept.timestamp >= from_ts) & (kept.timestamp < until_ts)


def next_rows(timestamp: Any, chosen: Any) -> Any:
    """How many rows are in the next step, and when the first and the last of them is."""
    rows = select(timestamp.label("ts")).where(chosen).order_by(timestamp).limit(int64("most"))
    ts = rows.subquery().c.ts
    return select(func.count(ts), func.min(ts), func.max(ts))


# built once: building a statement takes longer than running it
NEXT_CHOSEN, NEXT_KEPT = next_rows(column.timestamp, CHOSEN), next_rows(kept.timestamp, KEPT)
KEEP = insert(deleted_measures).from_select(
    ["deletion_id", *COLUMNS], select(number, *(column[name] for name in COLUMNS)).where(CHOSEN)
)
REMOVE = delete(measures).where(CHOSEN)
BRING_BACK = insert(measures).from_select(
    ["sensor_id", *COLUMNS],
    select(int64("sensor_id"), *(kept[name] for name in COLUMNS)).where(KEPT),
)
FORGET = delete(deleted_measures).where(KEPT)
TAKEN = select(column.id).join_from(deleted_measures, measures, kept.id == column.id).where(KEPT)
LISTED_BACKWARDS = LISTED[Key.POSITION].subquery().c
AT_POSITIONS = select(LISTED_BACKWARDS.timestamp, LISTED_BACKWARDS.id).limit(1)
OLDEST = AT_POSITIONS.order_by(LISTED_BACKWARDS.timestamp, LISTED_BACKWARDS.id)
NEWEST = AT_POSITIONS.order_by(LISTED_BACKWARDS.timestamp.desc(), LISTED_BACKWARDS.id.desc())
BY_NUMBER = select(deletions).where(deletion.id == number)
NOTE = update(deletions).where(deletion.id == number)
NOTE_DELETED = NOTE.values(last_ts=int64("ts"), measures=deletion.measures + int64("more"))
NOTE_BROUGHT = NOTE.values(measures=deletion.measures - int64("less"))
EXPIRED = select(deletion.id).where(deletion.deleted_ts < int64("ts")).order_by(deletion.id)


def find_chosen(connection: Connection, chosen: Range) -> dict[str, int] | None:
    """Which measures a range means now, as parameters of `CHOSEN`; None for none.

    It stays these, however many come and go until the last of them is deleted.
    """
    asked = bounds(connection, chosen, ALL)
    found = EVERYTHING | {"sensor_id": chosen.sensor_id}
    if chosen.key is Key.TIME:
        return found | {name: asked[name] for name in ("from_ts", "until_ts")}
    if chosen.key is Key.ID:
        oldest_ts, newest_ts = connection.execute(TIMES[way(chosen)], asked).one()
        if oldest_ts is None:
            return None
        found |= {"first_id": chosen.first, "until_id": chosen.last}
    else:
        oldest = connection.execute(OLDEST, asked).first()
        newest = connection.execute(NEWEST, asked).first()
        if oldest is None or newest is None:
            return None
        (oldest_ts, oldest_id), (newest_ts, newest_id) = oldest, newest
        found |= {"oldest_id": oldest_id, "newest_id": newest_id}
        found |= {"oldest_ts": oldest_ts, "newest_ts": newest_ts}
    return found | {"from_ts": oldest_ts, "until_ts": newest_ts + 1}


def delete_in_steps(
    writing: Writing, chosen: dict[str, int], by: Author, now_ts: int, max_gap_s: int
) -> Iterator[Deletion]:
    """Delete what `find_chosen` has found; yields what is deleted so far, after each step."""
    sensor_id = chosen["sensor_id"]
    so_far = Deletion(0, sensor_id, now_ts, by, 0, 0, 0)
    while True:
        with writing() as connection:
            lock(connection, [sensor_id], max_gap_s)
            asked = chosen | {"most": DELETED_AT_ONCE}
            count, first_ts, last_ts = connection.execute(NEXT_CHOSEN, asked).one()
            if not count:
                return
            if not so_far.number:
                so_far = begun(connection, replace(so_far, first_ts=first_ts))
            step = chosen | {"from_ts": first_ts, "until_ts": last_ts + 1, "number": so_far.number}
            connection.execute(KEEP, step)
            removed = connection.execute(REMOVE, step).rowcount
            refresh(connection, {sensor_id: [(first_ts, last_ts)]}, max_gap_s)
            connection.execute(
                NOTE_DELETED, {"number": so_far.number, "ts": last_ts, "more": removed}
            )
        so_far = replace(so_far, last_ts=last_ts, measures=so_far.measures + removed)
        yield so_far
        if count < DELETED_AT_ONCE:
            return
        chosen = chosen | {"from_ts": last_ts + 1}
        time.sleep(BETWEEN_STEPS_S)


def begun(connection: Connection, new: Deletion) -> Deletion:
    """The deletion with its number."""
    row = {
        "sensor_id": new.sensor_id,
        "deleted_ts": new.at_ts,
        "who": new.by.name,
        "address": new.by.address,
        "first_ts": new.first_ts,
        "last_ts": new.first_ts,
        "measures": 0,
    }
    added = insert(deletions).values(row).returning(deletion.id)
    return replace(new, number=connection.execute(added).scalar_one())


def all_deletions(engine: Engine) -> list[Deletion]:
    """Those of which something can be brought back, the newest last."""
    query = select(deletions).where(deletion.measures > 0).order_by(deletion.id)
    with transaction(engine) as connection:
        return [found(row) for row in connection.execute(query)]


def undelete_in_steps(writing: Writing, which: int, max_gap_s: int) -> Iterator[int]:
    """Bring the measures of a deletion back; yields how many came, after each step.

    Those that `keep_measures` would have let go meanwhile stay where they are.
    Raises `UsageError` when none can come back.
    """
    came = 0
    while True:
        with writing() as connection:
            row = connection.execute(BY_NUMBER, {"number": which}).first()
            if row is None:
                raise UsageError(
                    f"there is no deletion {which}; cw-mqtt undelete --list shows the last 30 days"
                )
            (mark,) = lock(connection, [row.sensor_id], max_gap_s)
            oldest_ts = mark.thinned_ts - max_gap_s if mark.thinned_ts else -ALL
            step = {"number": which, "sensor_id": row.sensor_id}
            step |= {"from_ts": oldest_ts, "until_ts": ALL}
            asked = step | {"most": DELETED_AT_ONCE}
            count, first_ts, last_ts = connection.execute(NEXT_KEPT, asked).one()
            if not count and not came:
                raise UsageError(why_none(connection, which, mark.thinned_ts))
            if not count:
                return
            step |= {"from_ts": first_ts, "until_ts": last_ts + 1}
            if taken := connection.execute(TAKEN, step).first():
                raise UsageError(f"another measure has the id {taken[0]} now")
            connection.execute(BRING_BACK, step)
            came = connection.execute(FORGET, step).rowcount
            connection.execute(NOTE_BROUGHT, {"number": which, "less": came})
            refresh(connection, {row.sensor_id: [(first_ts, last_ts)]}, max_gap_s)
        yield came
        if count < DELETED_AT_ONCE:
            return
        time.sleep(BETWEEN_STEPS_S)


def why_none(connection: Connection, which: int, thinned_ts: int) -> str:
    """Why nothing of a deletion can be brought back."""
    if connection.execute(BY_NUMBER, {"number": which}).one().measures:
        return (
            f"the measures of deletion {which} are older than keep_measures: from before "
            f"{iso_utc(thinned_ts)}"
        )
    return f"the measures of deletion {which} are already back"


def forget_some(engine: Engine, now_ts: float) -> int:
    """Forget some measures that were deleted longer ago than they are kept; how many."""
    with transaction(engine) as connection:
        expired = connection.execute(EXPIRED, {"ts": int(now_ts) - KEPT_S}).scalars().first()
        if expired is None:
            return 0
        step = {"number": expired, "from_ts": -ALL, "until_ts": ALL}
        asked = step | {"most": DELETED_AT_ONCE}
        count, _, last_ts = connection.execute(NEXT_KEPT, asked).one()
        if not count:
            connection.execute(delete(deletions).where(deletion.id == number), {"number": expired})
            return 0
        return connection.execute(FORGET, step | {"until_ts": last_ts + 1}).rowcount


def found(row: Any) -> Deletion:
    """A row of `deletions`."""
    by = Author(row.who, row.address)
    times = row.first_ts, row.last_ts
    return Deletion(row.id, row.sensor_id, row.deleted_ts, by, *times, row.measures)
