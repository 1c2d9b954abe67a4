"""Readings that a database refuses for ever: found, said, and left out, so that others go on."""

import logging
from collections.abc import Callable, Sequence

from sqlalchemy.exc import DBAPIError

from cw_mqtt.journal.rows import Entry
from cw_mqtt.runtime.health import Health
from cw_mqtt.runtime.stages import MOST_SAID
from cw_mqtt.store.engine import first_line

log = logging.getLogger(__name__)


def store_by_halves(
    entries: Sequence[Entry],
    store: Callable[[Sequence[Entry]], None],
    refuse: Callable[[Entry, DBAPIError], None],
) -> None:
    """Store readings, in order; `refuse` is called for each of which alone `store` fails."""
    try:
        store(entries)
        return
    except DBAPIError as error:
        if len(entries) == 1:
            refuse(entries[0], error)
            return
    middle = len(entries) // 2
    store_by_halves(entries[:middle], store, refuse)
    store_by_halves(entries[middle:], store, refuse)


class Refusals:
    """Counts refused readings, and says each reason once."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._said: set[str] = set()

    def note(self, entry: Entry, error: DBAPIError) -> None:
        """Say why a reading was refused."""
        reason = first_line(error)
        is_new = reason not in self._said and len(self._said) < MOST_SAID
        log.log(
            logging.ERROR if is_new else logging.DEBUG,
            "the database refuses %s, which is left out: %s; more like it are only counted",
            entry,
            reason,
        )
        if is_new:
            self._said.add(reason)
        self._health.count("database", "refused")
