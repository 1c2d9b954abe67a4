"""`cw-mqtt rollups check`: all sums compared with the measures, which are added up otherwise.

The database made the sums; here numpy does, so that both would have to err in the same way.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, select

from cw_mqtt.measure.bulk import sums_by_span
from cw_mqtt.store.measures import NIGHT, OF_TIME, OLDEST_FIRST
from cw_mqtt.store.rollups import (
    ALL,
    DAY_S,
    SPANS_S,
    STEP_S,
    bounds_of,
    cells_between,
    lock,
    next_ts,
    walk,
)
from cw_mqtt.store.tables import rollups

Cell = tuple[int, int, int]  # sensor id, span in s, start

IN_ORDER = OF_TIME.order_by(*OLDEST_FIRST)
STORED = {s: select(rollups).where(cells_between(s, s)) for s in SPANS_S}


def check_rollups(engine: Engine, max_gap_s: int, wrong: list[Cell]) -> Iterator[float]:
    """Compare all cells with the measures; adds to `wrong`, and yields the share done."""

    def step(connection: Connection, sensor_id: int, from_ts: int) -> int:
        (found,) = lock(connection, [sensor_id], max_gap_s)
        from_ts = max(from_ts, found.thinned_ts)
        first_ts = next_ts(connection, sensor_id, from_ts)
        until_ts = ALL if first_ts is None else first_ts - first_ts % DAY_S + STEP_S
        bounds = bounds_of([sensor_id], from_ts, until_ts, max_gap_s)
        in_cells = {"sensor_id": sensor_id, "until_ts": min(until_ts, found.built_ts)}
        rows = connection.execute(IN_ORDER, bounds | in_cells).all()
        for span_s in SPANS_S:
            stored = {row.start_ts: row[3:] for row in connection.execute(STORED[span_s], bounds)}
            computed = cells(rows, max_gap_s, span_s, bounds[f"first_{span_s}"])
            wrong.extend(
                (sensor_id, span_s, start_ts)
                for start_ts in sorted(stored.keys() | computed.keys())
                if not alike(stored.get(start_ts), computed.get(start_ts))
            )
        return until_ts

    return walk(engine, step)


def cells(rows: Any, max_gap_s: int, span_s: int, first_ts: int) -> dict[int, Any]:
    """The sums of a span from rows of measures, by start, from `first_ts` on."""
    if not rows:
        return {}
    ts, power_w, night_rate, _ids = zip(*rows, strict=True)
    night = np.array(night_rate) == NIGHT
    starts, sums = sums_by_span(np.array(ts), np.array(power_w), night, max_gap_s, span_s)
    return {s: row for s, row in zip(starts.tolist(), sums, strict=True) if s >= first_ts}


def alike(one: Any, other: Any) -> bool:
    """Whether two cells say the same, but for the order in which was added up."""
    return one is not None and other is not None and bool(np.allclose(one, other, 1e-9, 1e-6))
