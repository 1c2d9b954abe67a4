"""What happened to sensors, in words: logged, and handed to the publisher."""

import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from cw_mqtt.journal.journal import Journal
from cw_mqtt.model import Event, Verdict

log = logging.getLogger(__name__)

TOLD_AGAIN_S = 600.0
EVENTS = {Verdict.REPLAYED: "replay_rejected", Verdict.FOREIGN: "unknown_sensor"}
WORDS = {
    "sensor_rebooted": (logging.INFO, "has restarted, as after a change of the battery"),
    "sensor_keeps_restarting": (
        logging.WARNING,
        "restarts too often to give valid power readings; check battery, solder joints and supply",
    ),
    "replay_rejected": (logging.WARNING, "an earlier packet was sent again (replay); refused"),
    "unknown_sensor": (
        logging.WARNING,
        "receives packets under its key that are not its own; they are ignored",
    ),
    "previous_key_used": (logging.WARNING, "still uses one of its previous_keys"),
    "new_key_used": (logging.INFO, "uses its new key now; its previous_keys can go"),
}


class Announcer:
    """Says each thing of a sensor once in ten minutes; `events` is a ring that is read elsewhere.

    Who waits for the journal is woken.
    """

    def __init__(self, journal: Journal, events: deque[Event]) -> None:
        self._journal = journal
        self._events = events
        self._told_ts: dict[tuple[str, str | None], float] = {}

    def announce(self, events: Iterable[Event]) -> None:
        """Log what happened and hand it to the publisher; the same thing once in ten minutes."""
        for event in events:
            known_ts = self._told_ts.get((event.type, event.sensor), float("-inf"))
            if 0 <= event.ts - known_ts < TOLD_AGAIN_S:
                continue
            self._told_ts[event.type, event.sensor] = event.ts
            level, text = WORDS[event.type]
            log.log(level, "%s: %s", event.sensor, text)
            self._events.append(replace(event, text=text))
            self._journal.wake()
