"""How databases number rows, made to notice those that came with ids of their own."""

from sqlalchemy import Connection, column, func, insert, literal, select, table, update

from cw_mqtt.store.tables import deleted_measures, measures, metadata

HIGHEST_DELETED = select(func.coalesce(func.max(deleted_measures.c.id), 0)).scalar_subquery()
sqlite_numbers = table("sqlite_sequence", column("name"), column("seq"))
OF_MEASURES = sqlite_numbers.c.name == measures.name


def repair_sequences(connection: Connection) -> None:
    """Number new rows above the highest id, and never lower than before.

    The ids of measures that were deleted stay theirs: they may come back.
    """
    if connection.dialect.name != "postgresql":
        number_above_deleted(connection)
        return
    for each in metadata.sorted_tables:
        if "id" in each.columns:
            # null, and then nothing is done, where the column has no sequence of its own
            sequence = func.pg_get_serial_sequence(each.name, "id")
            highest = select(func.coalesce(func.max(each.c.id), 0)).scalar_subquery()
            deleted = HIGHEST_DELETED if each is measures else literal(0)
            following = func.greatest(highest + 1, deleted + 1, func.nextval(sequence))
            connection.execute(select(func.setval(sequence, following, literal(value=False))))


def number_above_deleted(connection: Connection) -> None:
    """On SQLite, which looks itself at what is in the table."""
    number = sqlite_numbers.c.seq
    change = update(sqlite_numbers).where(OF_MEASURES)
    connection.execute(change.values(seq=func.max(number, HIGHEST_DELETED)))
    is_missing = ~select(number).where(OF_MEASURES).exists()
    row = select(literal(measures.name), HIGHEST_DELETED).where(is_missing)
    connection.execute(insert(sqlite_numbers).from_select(["name", "seq"], row))
