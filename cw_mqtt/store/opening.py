"""What the database has to hold, and what it knows, before any reading is stored."""

import logging
import threading
import time
from collections.abc import Mapping
from datetime import date, datetime

from sqlalchemy import Engine

from cw_mqtt.config.settings import Settings
from cw_mqtt.journal.journal import Journal
from cw_mqtt.model import SensorState
from cw_mqtt.store.engine import patient, snapshot, transaction
from cw_mqtt.store.rollups import build
from cw_mqtt.store.schema import bring_up_to_date
from cw_mqtt.store.sensors import copied_states, link_sensors, write_providers
from cw_mqtt.store.sums import stored_energy

log = logging.getLogger(__name__)

TELL_EVERY_S = 10


def prepare_database(engine: Engine, settings: Settings, now_ts: float) -> dict[str, int]:
    """Bring the tables up to date, and sensors and contracts to what the settings say.

    The answer has the id of each sensor, by slug.
    Raises `ResourceAwayError`, or `UsageError` when somebody has to change something.
    """
    bring_up_to_date(engine)
    with transaction(engine) as connection:
        write_providers(connection, settings.providers, day_at(now_ts, settings))
        return link_sensors(connection, {s.slug: s.name for s in settings.sensors})


def day_at(ts: float, settings: Settings) -> date:
    """The day in the home's time zone."""
    return datetime.fromtimestamp(ts, settings.timezone).date()


def build_rollups(engine: Engine, max_gap_s: int, stopping: threading.Event) -> None:
    """Compute what is missing, as after a take-over; minutes for many years."""
    told_s = time.monotonic()
    for share in build(patient(engine), max_gap_s):
        if stopping.is_set():
            return
        if time.monotonic() - told_s > TELL_EVERY_S:
            log.info("building hourly and daily totals: %d %%", share * 100)
            told_s = time.monotonic()


def known_states(
    engine: Engine, ids: Mapping[str, int], journal: Journal, max_gap_s: int
) -> dict[str, SensorState]:
    """The copies of the states; without one, what the measures of a new sensor carry.

    `ids` are those of the sensors' rows, by slug.
    """
    states = journal.states()
    with snapshot(engine) as connection:
        known = copied_states(connection)
        for slug in ids.keys() - known:
            if not (slug in states and states[slug].energy.loaded):
                measured = stored_energy(connection, ids[slug], max_gap_s)
                known[slug] = SensorState(slug, energy=measured)
    return known
