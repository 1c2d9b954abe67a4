"""All tables of a database, read or filled: what backup, restore and adopt are made of."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Connection, Table, delete, func, insert, inspect, select, text

from cw_mqtt.errors import BridgeError
from cw_mqtt.store.schema import repair_sequences
from cw_mqtt.store.tables import metadata

DUMPED_AT_ONCE = 5000

Rows = list[Sequence[Any]]


class TableEntry(BaseModel):
    """What is to be read of a table."""

    columns: tuple[str, ...]
    rows: int


Tables = Mapping[str, TableEntry]


def stored_tables(connection: Connection) -> dict[str, TableEntry]:
    """What a database has of the tables that we know, those that others refer to first."""
    inspector = inspect(connection)
    existing = inspector.get_table_names()
    tables = {}
    for table in metadata.sorted_tables:
        if table.name in existing:
            there = {column["name"] for column in inspector.get_columns(table.name)}
            columns = tuple(column.name for column in table.columns if column.name in there)
            tables[table.name] = TableEntry(columns=columns, rows=_count(connection, table))
    return tables


def total_rows(tables: Tables) -> int:
    """How many rows all tables have together."""
    return sum(entry.rows for entry in tables.values())


def is_empty(connection: Connection) -> bool:
    """Whether no table has a row."""
    return not any(_count(connection, table) for table in metadata.sorted_tables)


def rows_of(connection: Connection, name: str, columns: Iterable[str]) -> Iterator[Rows]:
    """The rows of a table, some thousand at a time."""
    query = select(*(metadata.tables[name].c[column] for column in columns))
    result = connection.execute(query.execution_options(yield_per=DUMPED_AT_ONCE))
    return map(list, result.partitions())


def fill(
    connection: Connection, tables: Tables, read: Callable[[str], Iterator[Rows]]
) -> Iterator[int]:
    """Put the rows that `read` has of each table in the place of all rows; yields counts.

    Raises `BridgeError` when the database does not have as many as came.
    """
    for table in reversed(metadata.sorted_tables):
        connection.execute(delete(table))
    for name, entry in tables.items():
        add = insert(metadata.tables[name])
        for rows in read(name):
            connection.execute(add, [dict(zip(entry.columns, row, strict=True)) for row in rows])
            yield len(rows)
    for name, entry in tables.items():
        if (count := _count(connection, metadata.tables[name])) != entry.rows:
            raise BridgeError(
                f"{name}: {count:,} of {entry.rows:,} rows arrived; nothing was changed. Does a "
                "trigger or rule of the database interfere?"
            )
    repair_sequences(connection)
    if connection.dialect.name == "postgresql":
        connection.execute(text("ANALYZE"))  # or its first plans are bad


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())
