"""Rollups: sums of measures by quarter hour, hour and day. They are built after this step."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables, empty."""
    op.create_table(
        "rollups",
        sensor(),
        sa.Column("span_s", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("start_ts", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("measures", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Double, nullable=False) for name in SUMS),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_marks",
        sensor(),
        sa.Column("form", sa.Integer, nullable=False),
        sa.Column("max_gap_s", sa.BigInteger, nullable=False),
        sa.Column("built_ts", sa.BigInteger, nullable=False),
        sa.Column("thinned_ts", sa.BigInteger, nullable=False),
        sa.Column("corrected_j", sa.Double, nullable=False),
    )


SUMS = ("day_j", "night_j", "day_w", "night_w", "min_w", "max_w")


def sensor() -> sa.Column[int]:
    """The sensor that a row belongs to."""
    sensors_id = sa.ForeignKey("sensors.id", ondelete="CASCADE")
    return sa.Column("sensor_id", sa.Integer, sensors_id, primary_key=True, autoincrement=False)
