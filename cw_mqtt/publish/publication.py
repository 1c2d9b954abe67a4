"""What the broker is told of, and what outlives a connection to it."""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cw_mqtt.config.settings import MqttSettings, Settings
from cw_mqtt.journal.journal import Journal
from cw_mqtt.model import Energy, Event
from cw_mqtt.publish.neighbours import Neighbours
from cw_mqtt.publish.outbox import Outbox, RepublishTimer
from cw_mqtt.publish.topics import HEALTH_EVERY_S, Topics
from cw_mqtt.publish.totals import Retained
from cw_mqtt.runtime.health import Health

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Publication:
    """What is published, for the publisher and each of its sessions.

    `lift_total` must commit that a sensor's sums are no less than these; `knows_totals` says
    whether the database was asked for them. `events` is emptied. `bridge_info` adds to
    the topic `bridge/info`. `actions` are what requests may do besides publishing discovery
    again, by verb; they run in the stage's thread. `birth_pause_s` is the range of the random
    wait after Home Assistant has started, so that not all bridges answer at once. The database
    has `totals_within_s` to tell the totals, and a new journal its installation. Another bridge
    under the base topic counts as gone when nothing came from it for `gone_after_s`.
    `retained` is what the broker kept before the first connection.
    """

    mqtt: MqttSettings
    settings: Settings
    journal: Journal
    health: Health
    events: deque[Event]
    lift_total: Callable[[str, Energy], None]
    knows_totals: Callable[[], bool]
    bridge_info: Callable[[], Mapping[str, Any]]
    actions: Mapping[str, Callable[[], None]]
    clock: Callable[[], float] = time.time
    birth_pause_s: tuple[float, float] = (1.0, 10.0)
    totals_within_s: float = 5.0
    gone_after_s: float = 2.5 * HEALTH_EVERY_S

    def __post_init__(self) -> None:
        self.topics = Topics(self.mqtt.base_topic)
        self.outbox = Outbox(
            self.settings, self.topics, self.journal, self.health, self.events, self.clock
        )
        self.neighbours = Neighbours(self.topics, self.gone_after_s)
        self.republish_timer = RepublishTimer()
        self.retained: Retained | None = None
        self._said: set[str] = set()

    def republish(self, pause_s: float = 0.0) -> None:
        """Publish discovery and everything else again after a pause."""
        self.republish_timer.ask(time.monotonic(), pause_s)

    def say(self, what: str, text: str) -> None:
        """Warn once of a thing."""
        if what not in self._said:
            self._said.add(what)
            log.warning("%s", text)
