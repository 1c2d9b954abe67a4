"""Whether the database has the schema that this program knows, and the migration to it."""

import logging
from pathlib import Path

from sqlalchemy import (
    Connection,
    Engine,
    column,
    func,
    insert,
    inspect,
    literal,
    select,
    table,
    text,
    update,
)

from cw_mqtt.errors import UsageError
from cw_mqtt.store.engine import patient, place, transaction
from cw_mqtt.store.tables import deleted_measures, measures, metadata

log = logging.getLogger(__name__)

REVISIONS = ("0001",)  # the steps in `migrations/versions`, in order
HEAD = REVISIONS[-1]
LOCK_NUMBER = 2014_434157  # any number that no other program of this database takes


def bring_up_to_date(engine: Engine) -> None:
    """Create or change tables where needed; an old CitizenWatt base keeps every row and id.

    Raises `UsageError` when a newer program wrote this database, `ResourceAwayError` when it
    does not answer or something else holds its tables.
    """
    with transaction(engine) as connection:
        revision = revision_of(connection)
    if revision == HEAD:
        return
    refuse_newer(revision, place(engine.url))
    migrate(engine)
    log.info("%s: migrated to schema %s", place(engine.url), HEAD)


def refuse_newer(revision: str | None, written: str) -> None:
    """Raise `UsageError` when a newer program wrote a database, or a file out of one."""
    if revision is not None and revision not in REVISIONS:
        raise UsageError(
            f"{written} was written by a newer cw-mqtt (schema {revision}, this one knows "
            f"{HEAD}); install that version"
        )


def revision_of(connection: Connection) -> str | None:
    """The schema of the database; None for an empty one and for an old CitizenWatt base."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(
        text("SELECT version_num FROM alembic_version")
    ).scalar()
    return revision


def migrate(engine: Engine) -> None:
    """Run the missing steps, all or none."""
    # imported late: a start without migration does without its memory
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    with transaction(patient(engine)) as connection:
        lock_out_others(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def lock_out_others(connection: Connection) -> None:
    """Let one program at a time migrate, and wait no more than 30 s for the tables."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # pysqlite begins none before DDL
        return
    connection.exec_driver_sql("SET LOCAL lock_timeout = '30s'")
    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": LOCK_NUMBER})


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
