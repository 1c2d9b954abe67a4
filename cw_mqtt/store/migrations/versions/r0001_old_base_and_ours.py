"""The tables of the 2014 CitizenWatt base, made or adopted in place, and ours beside them.

Existing tables keep every row and id; a `counters` table and columns that we do not know stay.
"""

from itertools import groupby

import sqlalchemy as sa
from alembic import op

from cw_mqtt.store.old_base import find_lacks
from cw_mqtt.store.tables import metadata

revision = "0001"
down_revision = None

INDEX = "measures_sensor_id_timestamp"
NARROW_SEQUENCE = sa.text(
    "SELECT pg_get_serial_sequence(:table, 'id') FROM information_schema.sequences "
    "WHERE format('%I.%I', sequence_schema, sequence_name) = pg_get_serial_sequence(:table, 'id') "
    "AND data_type = 'integer'"
)


def upgrade() -> None:
    """Create what is missing; widen what overflows."""
    lacks = find_lacks(sa.inspect(op.get_bind()))
    metadata.create_all(op.get_bind())
    for column in lacks.columns:
        # such as a provider's threshold, in early versions of the old base
        op.add_column(column.table.name, sa.Column(column.name, column.type))
    for table, columns in groupby(lacks.bits, key=lambda column: column.table.name):
        widen(table, [column.name for column in columns])
    if lacks.index and "measures" not in lacks.tables:  # or create_all has made it
        op.create_index(INDEX, "measures", ["sensor_id", "timestamp"])


def widen(table: str, names: list[str]) -> None:
    """Make 64 bits of what will overflow; on SQLite every whole number has them."""
    if op.get_context().dialect.name != "postgresql":
        return
    # in one statement, which writes the table anew once
    changes = ", ".join(f'ALTER "{name}" TYPE bigint' for name in names)
    op.execute(f'ALTER TABLE "{table}" {changes}')
    if "id" in names:
        for name in op.get_bind().execute(NARROW_SEQUENCE, {"table": table}).scalars():
            op.execute(f"ALTER SEQUENCE {name} AS bigint")
