"""What measures carry, in SQL: the definition of `measure/energy.py` for the database.

Sums have the columns of the table `rollups`, whether they are of measures or of other sums.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, case, func, literal, select

from cw_mqtt.store.measures import NIGHT, OLDEST_FIRST, int64
from cw_mqtt.store.tables import measures

SUMMED = ("measures", "seconds", "day_j", "night_j", "day_w", "night_w")
SUMS = (*SUMMED, "min_w", "max_w")  # as `EnergySum` has them


def carried(rows: Select[Any], among: ColumnElement[Any] | None = None) -> Subquery:
    """Each of `rows` with what it carries after the one before it, as sums of this one measure.

    `rows` are of one sensor, or of one in each `among`; the parameter `max_gap_s` is a whole
    number of seconds.
    """

    def before(column: Any) -> Any:
        return func.lag(column).over(partition_by=among, order_by=OLDEST_FIRST)

    each = rows.add_columns(
        before(measures.c.timestamp).label("previous_ts"),
        before(measures.c.value).label("previous_value"),
    ).subquery()
    row = each.c
    interval_s = row.timestamp - row.previous_ts
    measured = interval_s.between(1, int64("max_gap_s"))
    mean_w = (drawn(row.previous_value) + drawn(row.value)) / 2
    energy_j = case((measured, mean_w * interval_s), else_=0.0)
    night = row.night_rate == NIGHT
    return select(
        *each.c,
        literal(1).label("measures"),
        case((measured, interval_s), else_=0).label("seconds"),
        case((night, 0.0), else_=energy_j).label("day_j"),
        case((night, energy_j), else_=0.0).label("night_j"),
        case((night, 0.0), else_=row.value).label("day_w"),
        case((night, row.value), else_=0.0).label("night_w"),
        row.value.label("min_w"),
        row.value.label("max_w"),
    ).subquery()


def drawn(value: Any) -> ColumnElement[Any]:
    """A power as it counts in the energy: a negative one is 0."""
    return case((value > 0, value), else_=0.0)


def added_up(sums: Any) -> list[ColumnElement[Any]]:
    """The columns of the sum of many sums; `sums` are the columns of these."""
    return [
        *(func.sum(sums[name]).label(name) for name in SUMMED),
        func.min(sums.min_w).label("min_w"),
        func.max(sums.max_w).label("max_w"),
    ]
