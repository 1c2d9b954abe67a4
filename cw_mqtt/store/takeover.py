"""Making an old base ours: its tables are changed, and its sensors tied to their slugs."""

from collections.abc import Mapping
from select import select as wait_for
from typing import Any

from psycopg2.extensions import POLL_OK, POLL_WRITE, set_wait_callback
from sqlalchemy import Engine, insert, select

from cw_mqtt.store.engine import transaction
from cw_mqtt.store.schema import bring_up_to_date
from cw_mqtt.store.tables import sensor_slugs


def upgrade(engine: Engine) -> None:
    """Bring an old base's PostgreSQL up to date, all or nothing.

    Ctrl+C breaks it off, and nothing is changed then. Raises as `bring_up_to_date`.
    """
    set_wait_callback(wait_or_cancel)
    try:
        bring_up_to_date(engine)
    finally:
        set_wait_callback(None)


def wait_or_cancel(connection: Any) -> None:
    """Wait for the server's answer; psycopg2's own way to wait does not hear of Ctrl+C."""
    try:
        while (state := connection.poll()) != POLL_OK:
            writes = state == POLL_WRITE
            wait_for([] if writes else [connection], [connection] if writes else [], [])
    except KeyboardInterrupt:
        connection.cancel()  # or the server would first finish what is in vain
        raise


def link_slugs(engine: Engine, slugs: Mapping[int, str]) -> None:
    """Tie sensors to their slugs, by id; those that are tied stay so."""
    with transaction(engine) as connection:
        known = set(connection.execute(select(sensor_slugs.c.slug)).scalars())
        for sensor_id, slug in slugs.items():
            if slug not in known:
                connection.execute(insert(sensor_slugs).values(slug=slug, sensor_id=sensor_id))
