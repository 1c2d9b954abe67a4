"""PostgreSQL's sequences, which do not notice rows that come with ids of their own."""

from sqlalchemy import Connection, func, literal, select

from cw_mqtt.store.tables import metadata


def repair_sequences(connection: Connection) -> None:
    """Number new rows above the highest id, and never lower than before."""
    if connection.dialect.name != "postgresql":
        return
    for table in metadata.sorted_tables:
        if "id" in table.columns:
            # null, and then nothing is done, where the column has no sequence of its own
            sequence = func.pg_get_serial_sequence(table.name, "id")
            above = func.coalesce(func.max(table.c.id), 0) + 1
            following = func.greatest(above, func.nextval(sequence))
            connection.execute(select(func.setval(sequence, following, literal(value=False))))
