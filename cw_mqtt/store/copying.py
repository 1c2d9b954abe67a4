"""A base copied into another database, SQLite or PostgreSQL: all of it or nothing, and compared."""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, Engine, Select, Table, insert, inspect, select

from cw_mqtt.errors import ResourceAwayError, UsageError
from cw_mqtt.store.content import Content, count_rows
from cw_mqtt.store.engine import UTF_8, codec_of, place, snapshot, storable, transaction
from cw_mqtt.store.schema import bring_up_to_date, lock_out_others, revision_of
from cw_mqtt.store.sequences import repair_sequences
from cw_mqtt.store.tables import metadata

ROWS_AT_ONCE = 5_000

Progress = Callable[[int], None]  # hears how many more rows are read or written


def copy_base(source: Engine, target: Engine, progress: Progress) -> dict[str, Content]:
    """Copy every table that both know, with ids; the answer is what is in the target now.

    A target that has it all already stays as it is; one whose encoding lacks a character has the
    substitute (`engine.storable`). Raises `UsageError` when something else is
    in the target, `ResourceAwayError` when a database is away or what arrived is not what left:
    then the target has none of it.
    """
    refuse_foreign(target)
    bring_up_to_date(target)
    with snapshot(source) as read, transaction(target) as written:
        lock_out_others(written)
        queries = queries_of(read)
        if any(count_rows(written, table) for table in queries):
            codec = codec_of(written)
            left = {
                table.name: contents(read, query, progress, codec)
                for table, query in queries.items()
            }
            arrived = contents_of(written, queries, progress)
            if arrived != left:
                raise UsageError(f"{place(target.url)} has other rows; give another place to --to")
            return arrived
        left = {
            table.name: copy_table(read, query, written, table, progress)
            for table, query in queries.items()
        }
        arrived = contents_of(written, queries, progress)
        if arrived != left:
            different = ", ".join(name for name in left if left[name] != arrived[name])
            raise ResourceAwayError(
                f"{place(target.url)}: what arrived in {different} is not what left; nothing is "
                "kept of it"
            )
        repair_sequences(written)
    return arrived


def rows_to_copy(source: Engine) -> int:
    """How often `copy_base` calls for progress, in rows: each is written, then read back."""
    with snapshot(source) as read:
        return 2 * sum(count_rows(read, table) for table in queries_of(read))


def refuse_foreign(target: Engine) -> None:
    """Raise `UsageError` when the target has tables and is not a database of ours."""
    with transaction(target) as connection:
        tables = inspect(connection).get_table_names()
        ours = revision_of(connection) is not None
    if tables and not ours:
        raise UsageError(
            f"{place(target.url)} has tables of something else ({', '.join(sorted(tables)[:3])}); "
            "make an empty database for the copy"
        )


def queries_of(source: Connection) -> dict[Table, Select[Any]]:
    """What to read of each table, so that rows follow those that they refer to."""
    inspector = inspect(source)
    existing = inspector.get_table_names()
    queries = {}
    for table in metadata.sorted_tables:
        if table.name in existing:
            there = {column["name"] for column in inspector.get_columns(table.name)}
            columns = [column for column in table.columns if column.name in there]
            queries[table] = select(*columns).order_by(*table.primary_key)
    return queries


def pieces(connection: Connection, query: Select[Any], progress: Progress) -> Iterator[list[Any]]:
    """The rows of a query, as they are read."""
    options = {"stream_results": True, "yield_per": ROWS_AT_ONCE}
    for piece in connection.execute(query, execution_options=options).partitions():
        progress(len(piece))
        yield list(piece)


def as_bytes(rows: list[Any], codec: str) -> list[bytes]:
    """Rows as `Content` takes them, with the texts that a database of this encoding has."""
    if codec == UTF_8:
        return [repr(tuple(row)).encode() for row in rows]
    return [repr(storable(tuple(row), codec)).encode() for row in rows]


def contents(
    connection: Connection, query: Select[Any], progress: Progress, codec: str = UTF_8
) -> Content:
    """What a query finds, written as in a database of this encoding."""
    content = Content()
    for piece in pieces(connection, query, progress):
        content = content.with_rows(as_bytes(piece, codec))
    return content


def contents_of(
    connection: Connection, queries: dict[Table, Select[Any]], progress: Progress
) -> dict[str, Content]:
    """What each of these queries finds, by the table's name."""
    return {table.name: contents(connection, query, progress) for table, query in queries.items()}


def copy_table(
    read: Connection, query: Select[Any], written: Connection, table: Table, progress: Progress
) -> Content:
    """Copy one table; the answer is what left."""
    content, codec = Content(), codec_of(written)
    names = [column.name for column in query.selected_columns]
    add = insert(table)
    for piece in pieces(read, query, progress):
        written.execute(add, [dict(zip(names, row, strict=True)) for row in piece])
        content = content.with_rows(as_bytes(piece, codec))
    return content
