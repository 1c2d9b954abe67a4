"""The MQTT stage: keeps the broker told of what the journal holds."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cw_mqtt.config.settings import MqttSettings, Settings
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.journal.journal import Journal
from cw_mqtt.model import Energy, Event
from cw_mqtt.publish.client import TICK_S, Connection, connect
from cw_mqtt.publish.limits import Protocol, Suspicion
from cw_mqtt.publish.neighbours import Neighbours
from cw_mqtt.publish.outbox import Outbox
from cw_mqtt.publish.paho_setup import SocketWakeup
from cw_mqtt.publish.requests import Requests
from cw_mqtt.publish.session import Publication, Session
from cw_mqtt.publish.topics import HEALTH_EVERY_S, Topics
from cw_mqtt.runtime.health import Health

log = logging.getLogger(__name__)

SHORT_LIFE_S = 10.0


@dataclass(eq=False)
class MqttPublisher:
    """Publishes the sensors' current state; a service for a stage.

    `lift_total` must commit that a sensor's sums are no less than these; `knows_totals` says
    whether the database was asked for them. `events` is emptied. `bridge_info` adds to
    the topic `bridge/info`. `actions` are what requests may do besides publishing discovery
    again, by verb; they run in the stage's thread. `birth_pause_s` is the range of the random
    wait after Home Assistant has started, so that not all bridges answer at once. The database
    has `totals_within_s` to tell the totals, and a new journal its installation. Another bridge
    under the base topic counts as gone when nothing came from it for `gone_after_s`.
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

    name: str = field(default="mqtt", init=False)
    longest_pause_s: float = field(default=5.0, init=False)
    when_stuck: str = field(
        default="the broker does not acknowledge messages: see whether it or its network hangs",
        init=False,
    )

    def __post_init__(self) -> None:
        topics = Topics(self.mqtt.base_topic)
        self._publication = Publication(
            self.mqtt,
            self.settings,
            self.journal,
            topics,
            Outbox(self.settings, topics, self.journal, self.health, self.events, self.clock),
            Neighbours(topics, self.gone_after_s),
            self.lift_total,
            self.bridge_info,
            self.birth_pause_s,
        )
        self._requests = Requests(
            topics,
            self.mqtt.allow_requests,
            questions={"health_check": self.health.report},
            actions={"discovery/republish": self._publication.republish, **self.actions},
        )
        self._wakeup = SocketWakeup()
        self.journal.wakes(self._wakeup)
        self._protocol: Protocol | None = None
        self._connection: Connection | None = None
        self._suspicion = Suspicion()
        self.health.ask(self.name, answer=self._figures)

    def wake(self) -> None:
        """Let a waiting `serve` go on."""
        self._wakeup.wake()

    def close(self) -> None:
        """Let go of what it holds while it waits; after its end."""
        self._wakeup.close()

    def serve(self, stopping: threading.Event, works: Callable[[], None]) -> None:
        """Connect, publish until `stopping` is set, and say goodbye.

        Should the journal learn that it is of another installation, connect again as that one.
        """
        self._wait_for_totals(stopping)
        while not stopping.is_set():
            if other := self._publication.neighbours.take_waited_for():
                self._wait_until_gone(other, stopping)
            else:
                self._serve_installation(self.journal.installation, stopping, works)

    def _wait_for_totals(self, stopping: threading.Event) -> None:
        """The database may know more, and under which name Home Assistant knows this bridge."""
        deadline_s = time.monotonic() + self.totals_within_s
        while not (stopping.is_set() or self.knows_totals()):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return
            self._wakeup.wait(left_s)

    def _serve_installation(
        self, installation: str, stopping: threading.Event, works: Callable[[], None]
    ) -> None:
        will = self._publication.topics.bridge_state(online=False)
        client_id = f"cw-{installation}"
        limits = self._suspicion.limits
        connection = connect(self.mqtt, client_id, will, self._wakeup, self._protocol, limits)
        self._connection, self._protocol = connection, connection.protocol
        connected_at_s = time.monotonic()
        try:
            session = Session(self._publication, self._requests, connection, installation)
            works()
            self._publication.neighbours.settled()
            self._suspicion.dispelled()
            connection.limits = replace(connection.limits, slowly=False)
            while not stopping.is_set() and self.journal.installation == installation:
                session.step()
                connection.work(TICK_S)
                if not connection.is_late:
                    works()
            session.leave()
        except ResourceAwayError:
            if time.monotonic() - connected_at_s < SHORT_LIFE_S:
                self._suspicion.broken(connection.unanswered(), connection.protocol)
            raise
        finally:
            self._connection = None
            connection.close()

    def _wait_until_gone(self, other: str, stopping: threading.Event) -> None:
        client_id = f"cw-{self.journal.installation}"
        connection = connect(self.mqtt, client_id, None, self._wakeup, self._protocol)
        try:
            self._publication.neighbours.wait_until_gone(connection, other, stopping)
        finally:
            connection.close()

    def _figures(self) -> dict[str, Any]:
        connection = self._connection  # the stage's thread may let go of it meanwhile
        if connection is None:
            return {"protocol": None}
        return {
            "protocol": connection.protocol,
            "published": connection.published,
            "waiting": connection.waiting,
            "last_ack_s_ago": round(time.monotonic() - connection.acked_at_s, 1),
            "refused": dict(connection.refused),
            "most_packet_bytes": connection.limits.packet_bytes,
        }
