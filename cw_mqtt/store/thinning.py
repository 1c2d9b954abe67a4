"""Old measures go, day by day; what they carried stays in the rollups."""

from sqlalchemy import Connection, Engine, delete, select

from cw_mqtt.store.engine import transaction
from cw_mqtt.store.measures import whole
from cw_mqtt.store.rollups import ALL, CHANGE_MARK, DAY_S, NEXT_TS, find_mark, lock
from cw_mqtt.store.tables import measures, rollup_marks

MARKED = select(rollup_marks.c.sensor_id).order_by(rollup_marks.c.sensor_id)
REMOVE = delete(measures).where(
    measures.c.sensor_id == whole("sensor_id"), measures.c.timestamp < whole("until_ts")
)


def thin(engine: Engine, before_ts: float, max_gap_s: int) -> int:
    """Delete each sensor's oldest day (UTC) that is over before a time; how many measures went.

    A day at a time, so that nobody waits long. Sums do not change; `max_gap_s` of measures
    before the oldest day are kept, since the next one carries the energy since them.
    """
    with transaction(engine) as connection:
        sensor_ids = list(connection.execute(MARKED).scalars())
    removed = 0
    for sensor_id in sensor_ids:
        with transaction(engine) as connection:
            removed += thin_sensor(connection, sensor_id, int(before_ts), max_gap_s)
    return removed


def thin_sensor(connection: Connection, sensor_id: int, before_ts: int, max_gap_s: int) -> int:
    """Delete the oldest day of one sensor."""
    found = find_mark(connection, sensor_id)
    numbers = {"sensor_id": sensor_id, "from_ts": found.thinned_ts}
    oldest_ts = connection.execute(NEXT_TS, numbers).scalar()
    if oldest_ts is None or not found.holds(max_gap_s, ALL):
        return 0
    until_ts = oldest_ts - oldest_ts % DAY_S + DAY_S
    if until_ts > before_ts:
        return 0
    lock(connection, sensor_id)  # not before: it writes, and this is asked after each reading
    connection.execute(CHANGE_MARK, {"of_sensor": sensor_id, "thinned_ts": until_ts})
    last_kept_ts = until_ts - max_gap_s
    return connection.execute(REMOVE, {"sensor_id": sensor_id, "until_ts": last_kept_ts}).rowcount
