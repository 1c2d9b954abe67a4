"""Making an old base ours: its tables are changed, its sequences and sensors made ready."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait

from sqlalchemy import Engine, TextClause, insert, select, text

from cw_mqtt.store.engine import transaction
from cw_mqtt.store.old_base import OURS, OldBase
from cw_mqtt.store.schema import bring_up_to_date
from cw_mqtt.store.tables import sensor_slugs

LOOK_AGAIN_S = 0.3
GROWTH = 1.4  # of the measures, written anew with wider columns and one more index
DATABASE_BYTES = text("SELECT pg_database_size(current_database())")
CANCEL_OURS = text(
    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid() AND application_name = :ours"
)


def upgrade(engine: Engine, base: OldBase) -> Iterator[float]:
    """Bring an old base's PostgreSQL up to date, all or nothing; yields about which share is done.

    Who stops listening breaks it off, and nothing is changed then. Raises as `bring_up_to_date`.
    """
    before_bytes = number(engine, DATABASE_BYTES)
    with ThreadPoolExecutor(1) as worker:
        upgrading = worker.submit(bring_up_to_date, engine)
        try:
            while not upgrading.done():
                wait([upgrading], LOOK_AGAIN_S)
                written_bytes = number(engine, DATABASE_BYTES) - before_bytes
                yield max(0.0, min(written_bytes / (GROWTH * base.size_bytes + 1), 0.99))
        finally:
            if not upgrading.done():
                with transaction(engine) as connection:
                    connection.execute(CANCEL_OURS, OURS)
    upgrading.result()
    yield 1.0


def number(engine: Engine, query: TextClause) -> int:
    """The one number that a query answers."""
    with transaction(engine) as connection:
        return int(connection.execute(query).scalar_one())


def link_slugs(engine: Engine, slugs: Mapping[int, str]) -> None:
    """Tie sensors to their slugs, by id; those that are tied stay so."""
    with transaction(engine) as connection:
        known = set(connection.execute(select(sensor_slugs.c.slug)).scalars())
        for sensor_id, slug in slugs.items():
            if slug not in known:
                connection.execute(insert(sensor_slugs).values(slug=slug, sensor_id=sensor_id))
