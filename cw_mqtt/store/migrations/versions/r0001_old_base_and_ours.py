"""The tables of the 2014 CitizenWatt base, made or taken over in place, and ours beside them.

Existing tables keep every row and id; a `counters` table and columns that we do not know stay.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

WIDENED = (("sensors", "last_timer"), ("measures", "timestamp"))
INDEX = "measures_sensor_id_timestamp"


def upgrade() -> None:
    """Create what is missing; widen the columns that overflow."""
    connection = op.get_bind()
    inspector = sa.inspect(connection)
    existing = set(inspector.get_table_names())
    metadata = tables()
    metadata.create_all(connection)
    for table in metadata.tables.values():
        if table.name in existing:
            known = {column["name"] for column in inspector.get_columns(table.name)}
            add_columns(table, known)
    for table_name, column_name in WIDENED:
        if table_name in existing:
            op.alter_column(table_name, column_name, type_=sa.BigInteger())
    # an index of an existing table is not made by create_all
    indexes = [i["column_names"] for i in sa.inspect(connection).get_indexes("measures")]
    if ["sensor_id", "timestamp"] not in indexes:
        op.create_index(INDEX, "measures", ["sensor_id", "timestamp"])


def add_columns(table: sa.Table, known: set[str]) -> None:
    """Add what early versions of the old base lacked, such as a provider's threshold."""
    for column in table.columns:
        if column.name not in known:
            op.add_column(table.name, sa.Column(column.name, column.type))


def tables() -> sa.MetaData:
    """The tables as this step leaves them."""
    metadata = sa.MetaData()
    sa.Table("measures_types", metadata, key(), name())
    sa.Table(
        "sensors",
        metadata,
        key(),
        name(),
        reference("type_id", "measures_types.id"),
        sa.Column("last_timer", sa.BigInteger),
        sa.Column("aes_key", sa.String(255)),
    )
    sa.Table(
        "measures",
        metadata,
        key(),
        reference("sensor_id", "sensors.id"),
        sa.Column("value", sa.Double),
        sa.Column("timestamp", sa.BigInteger),
        sa.Column("night_rate", sa.Integer),
        sqlite_autoincrement=True,
    )
    sa.Table(
        "providers",
        metadata,
        key(),
        name(),
        reference("type_id", "measures_types.id"),
        sa.Column("day_slope_watt_euros", sa.Double),
        sa.Column("day_constant_watt_euros", sa.Double),
        sa.Column("night_slope_watt_euros", sa.Double),
        sa.Column("night_constant_watt_euros", sa.Double),
        sa.Column("current", sa.Integer),
        sa.Column("threshold", sa.Integer),
    )
    sa.Table(
        "users",
        metadata,
        key(),
        name("login"),
        sa.Column("password", sa.Text),
        sa.Column("is_admin", sa.Integer),
        sa.Column("start_night_rate", sa.Integer),
        sa.Column("end_night_rate", sa.Integer),
    )
    sa.Table(
        "sensor_slugs",
        metadata,
        sa.Column("slug", sa.String(255), primary_key=True),
        reference("sensor_id", "sensors.id"),
    )
    sa.Table(
        "set_aside",
        metadata,
        key(),
        reference("sensor_id", "sensors.id"),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("night_rate", sa.Integer, nullable=False),
        sa.Column("voltage_v", sa.Integer, nullable=False),
        sa.Column("battery_mv", sa.Integer, nullable=False),
        sa.Column("reason", sa.String(255), nullable=False),
        sa.Index("set_aside_sensor_id_timestamp", "sensor_id", "timestamp"),
    )
    sa.Table(
        "bridge_positions",
        metadata,
        sa.Column("journal_id", sa.String(255), primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("newest_ts", sa.BigInteger, nullable=False),
        sa.Column("installation", sa.String(255), nullable=False),
    )
    sa.Table(
        "bridge_states",
        metadata,
        sa.Column("sensor", sa.String(255), primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
    )
    return metadata


def key() -> sa.Column[int]:
    """A table's own number for each row."""
    return sa.Column("id", sa.Integer, primary_key=True)


def name(column_name: str = "name") -> sa.Column[str]:
    """What people call the row."""
    return sa.Column(column_name, sa.String(255), unique=True)


def reference(column_name: str, target: str) -> sa.Column[int]:
    """The row that this one belongs to."""
    foreign_key = sa.ForeignKey(target, ondelete="CASCADE")
    return sa.Column(column_name, sa.Integer, foreign_key, nullable=False)
