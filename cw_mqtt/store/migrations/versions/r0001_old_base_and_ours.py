"""The tables of the 2014 CitizenWatt base, made or taken over in place, and ours beside them.

Existing tables keep every row and id; a `counters` table and columns that we do not know stay.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

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
    inspector = sa.inspect(op.get_bind())
    existing = set(inspector.get_table_names())
    metadata.create_all(op.get_bind())
    for table in metadata.sorted_tables:
        if table.name in existing:
            there = {c["name"]: c["type"] for c in inspector.get_columns(table.name)}
            add_columns(table, there)
            widen(table, there)
    # an index of an existing table is not made by create_all
    indexes = [i["column_names"] for i in sa.inspect(op.get_bind()).get_indexes("measures")]
    if ["sensor_id", "timestamp"] not in indexes:
        op.create_index(INDEX, "measures", ["sensor_id", "timestamp"])


def add_columns(table: sa.Table, there: dict[str, Any]) -> None:
    """Add what early versions of the old base lacked, such as a provider's threshold."""
    for column in table.columns:
        if column.name not in there:
            op.add_column(table.name, sa.Column(column.name, column.type))


def widen(table: sa.Table, there: dict[str, Any]) -> None:
    """Make 64 bits of what will overflow; on SQLite every whole number has them."""
    wide = [
        column.name
        for column in table.columns
        if column.name in there
        and isinstance(column.type, sa.BigInteger) > isinstance(there[column.name], sa.BigInteger)
    ]
    if not wide or op.get_context().dialect.name != "postgresql":
        return
    # in one statement, which writes the table anew once
    changes = ", ".join(f'ALTER "{name}" TYPE bigint' for name in wide)
    op.execute(f'ALTER TABLE "{table.name}" {changes}')
    if "id" in wide:
        for name in op.get_bind().execute(NARROW_SEQUENCE, {"table": table.name}).scalars():
            op.execute(f"ALTER SEQUENCE {name} AS bigint")
