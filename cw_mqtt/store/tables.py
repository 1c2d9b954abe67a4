"""The tables: those of the 2014 CitizenWatt base under their own names, and ours beside them.

A change here needs a step in `migrations/versions`, which may meet it done: step 0001 makes a new
database from these tables as they are today.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()


def id_column() -> Column[int]:
    """A key that the database counts up."""
    return Column("id", Integer, primary_key=True)


def long_id_column() -> Column[int]:
    """The same for more rows than 32 bits can number; on SQLite `Integer` alone counts up."""
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


def type_column() -> Column[int]:
    """What is measured; it is always electricity."""
    types_id = ForeignKey("measures_types.id", ondelete="CASCADE")
    return Column("type_id", Integer, types_id, nullable=False)


def sensor_column(*, primary_key: bool = False) -> Column[int]:
    """The sensor that a row belongs to, and with which it goes."""
    sensors_id = ForeignKey("sensors.id", ondelete="CASCADE")
    return Column("sensor_id", Integer, sensors_id, nullable=False, primary_key=primary_key)


measures_types = Table(
    "measures_types", metadata, id_column(), Column("name", String(255), unique=True)
)

# last_timer and aes_key are the old base's; nothing reads them any more
sensors = Table(
    "sensors",
    metadata,
    id_column(),
    Column("name", String(255), unique=True),
    type_column(),
    Column("last_timer", BigInteger),
    Column("aes_key", String(255)),
)

# value in W, timestamp in seconds; an id is never given twice, for clients that remember it
measures = Table(
    "measures",
    metadata,
    long_id_column(),
    sensor_column(),
    Column("value", Double),
    Column("timestamp", BigInteger),
    Column("night_rate", Integer),
    Index("measures_sensor_id_timestamp", "sensor_id", "timestamp"),
    sqlite_autoincrement=True,
)

# slopes in euros per kWh, constants in euros per month, threshold in W
providers = Table(
    "providers",
    metadata,
    id_column(),
    Column("name", String(255), unique=True),
    type_column(),
    Column("day_slope_watt_euros", Double),
    Column("day_constant_watt_euros", Double),
    Column("night_slope_watt_euros", Double),
    Column("night_constant_watt_euros", Double),
    Column("current", Integer),
    Column("threshold", Integer),
)

users = Table(
    "users",
    metadata,
    id_column(),
    Column("login", String(255), unique=True),
    Column("password", Text),
    Column("is_admin", Integer),
    Column("start_night_rate", Integer),
    Column("end_night_rate", Integer),
)

# browsers that are logged in; key_hash is SHA-256 of what is in their cookie, password the
# stored one with which they logged in
sessions = Table(
    "sessions",
    metadata,
    id_column(),
    Column("key_hash", String(64), unique=True, nullable=False),
    Column(
        "user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    Column("password", Text, nullable=False),
    Column("begun_ts", BigInteger, nullable=False),
    Column("used_ts", BigInteger, nullable=False),
    Column("address", Text, nullable=False),
    Column("browser", Text, nullable=False),
    sqlite_autoincrement=True,
)

# a row since there was a user: nobody is made the first one again
first_users = Table(
    "first_users", metadata, Column("made_ts", BigInteger, primary_key=True, autoincrement=False)
)

# programs that are let in; key_hash is SHA-256 of the token
tokens = Table(
    "tokens",
    metadata,
    Column("key_hash", String(64), primary_key=True),
    Column("name", String(255), unique=True, nullable=False),
    Column("role", String(255), nullable=False),
    Column("created_ts", BigInteger, nullable=False),
    Column("used_ts", BigInteger),
)

# which row a sensor of the settings is
sensor_slugs = Table(
    "sensor_slugs", metadata, Column("slug", String(255), primary_key=True), sensor_column()
)

# sums of measures, as `measure/energy.py` and `EnergySum` say; see `rollups.py`
rollups = Table(
    "rollups",
    metadata,
    sensor_column(primary_key=True),
    Column("span_s", Integer, primary_key=True, autoincrement=False),
    Column("start_ts", BigInteger, primary_key=True, autoincrement=False),
    Column("measures", BigInteger, nullable=False),
    Column("seconds", BigInteger, nullable=False),
    Column("day_j", Double, nullable=False),
    Column("night_j", Double, nullable=False),
    Column("day_w", Double, nullable=False),
    Column("night_w", Double, nullable=False),
    Column("min_w", Double, nullable=False),
    Column("max_w", Double, nullable=False),
    sqlite_with_rowid=False,
)

# how far each sensor's rollups hold, as `Mark` says
rollup_marks = Table(
    "rollup_marks",
    metadata,
    sensor_column(primary_key=True),
    Column("form", Integer, nullable=False),
    Column("max_gap_s", BigInteger, nullable=False),
    Column("thinned_ts", BigInteger, nullable=False),
)

# readings that are in no total, and why: columns as in `measures`
excluded = Table(
    "set_aside",
    metadata,
    long_id_column(),
    sensor_column(),
    Column("value", Double, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("night_rate", Integer, nullable=False),
    Column("voltage_v", Integer, nullable=False),
    Column("battery_mv", Integer, nullable=False),
    Column("reason", String(255), nullable=False),
    Index("set_aside_sensor_id_timestamp", "sensor_id", "timestamp"),
)

# what was deleted over the API, from the first measure to the last; who may be a user or a token,
# measures is how many can be brought back; a number is never given twice
deletions = Table(
    "deletions",
    metadata,
    id_column(),
    sensor_column(),
    Column("deleted_ts", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("first_ts", BigInteger, nullable=False),
    Column("last_ts", BigInteger, nullable=False),
    Column("measures", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

# the measures of a deletion, as they were in `measures`
deleted_measures = Table(
    "deleted_measures",
    metadata,
    Column(
        "deletion_id", Integer, ForeignKey("deletions.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("timestamp", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Double, nullable=False),
    Column("night_rate", Integer),
    sqlite_with_rowid=False,
)

# how far each journal was read, the names of its runs so far, and its installation's name
cursors = Table(
    "bridge_positions",
    metadata,
    Column("journal_id", String(255), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("runs", Text, nullable=False),
    Column("installation", String(255), nullable=False),
)

# a copy of each sensor's state (JSON) in the journal, for the day when the journal is lost
bridge_states = Table(
    "bridge_states",
    metadata,
    Column("sensor", String(255), primary_key=True),
    Column("state", Text, nullable=False),
)
