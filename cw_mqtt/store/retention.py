"""Old measures go, day by day; what they carried stays in the rollups.

How old they are is told by the days measured since, never by the clock alone: while it is wrong
it could have everything deleted.
"""

from datetime import timedelta

from sqlalchemy import Connection, Engine, delete, select

from cw_mqtt.config.values import DAY_S
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.measures import int64
from cw_mqtt.store.rollups import cell, change_mark, find_mark, lock, next_ts
from cw_mqtt.store.tables import excluded, measures, rollup_marks

SPARE_DAYS = 2  # a clock that was ahead for up to a day has made as many days more
MARKED = select(rollup_marks.c.sensor_id).order_by(rollup_marks.c.sensor_id)
NEWEST_DAY = (
    select(cell.start_ts)
    .where(cell.sensor_id == int64("sensor_id"), cell.span_s == DAY_S)
    .where(cell.start_ts <= int64("now_ts"))  # a measure in the future says nothing
    .order_by(cell.start_ts.desc())
    .limit(1)
    .offset(int64("after_days"))
)
REMOVE, REMOVE_SET_ASIDE = (
    delete(table).where(
        table.c.sensor_id == int64("sensor_id"), table.c.timestamp < int64("until_ts")
    )
    for table in (measures, excluded)
)


def delete_oldest_day(engine: Engine, keep: timedelta, now_ts: float, max_gap_s: int) -> int:
    """Delete each sensor's oldest day (UTC) if enough were measured since; how many measures went.

    A day at a time, so that nobody waits long. The newest days with measures stay: as many as
    `keep` says, today, and two to spare; with the others goes what was set aside then. Sums do
    not change; `max_gap_s` of measures before the oldest day are kept, since the next one carries
    the energy since them.
    """
    with transaction(engine) as connection:
        sensor_ids = list(connection.execute(MARKED).scalars())
    removed = 0
    for sensor_id in sensor_ids:
        with transaction(engine) as connection:
            removed += _delete_of_sensor(connection, sensor_id, keep, int(now_ts), max_gap_s)
    return removed


def _delete_of_sensor(
    connection: Connection, sensor_id: int, keep: timedelta, now_ts: int, max_gap_s: int
) -> int:
    found = find_mark(connection, sensor_id)
    oldest_ts = next_ts(connection, sensor_id, found.thinned_ts)
    if oldest_ts is None or not found.holds(max_gap_s):
        return 0
    until_ts = oldest_ts - oldest_ts % DAY_S + DAY_S
    whole_days = -(-keep // timedelta(days=1))
    asked = {"sensor_id": sensor_id, "now_ts": now_ts, "after_days": whole_days + SPARE_DAYS}
    first_kept_ts = connection.execute(NEWEST_DAY, asked).scalar()
    if first_kept_ts is None or until_ts > first_kept_ts:
        return 0
    lock(connection, [sensor_id], max_gap_s)  # not before: this is asked after each reading
    change_mark(connection, sensor_id, thinned_ts=until_ts)
    gone = {"sensor_id": sensor_id, "until_ts": until_ts - max_gap_s}
    connection.execute(REMOVE_SET_ASIDE, gone)
    return connection.execute(REMOVE, gone).rowcount
