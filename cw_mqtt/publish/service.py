"""The MQTT stage: keeps the broker told of what the journal holds."""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from cw_mqtt import __version__
from cw_mqtt.config.settings import MqttSettings, Settings
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.journal.journal import Journal
from cw_mqtt.model import Energy, Event, SensorState
from cw_mqtt.publish.client import TICK_S, Connection
from cw_mqtt.publish.connecting import connect
from cw_mqtt.publish.handover import hand_over
from cw_mqtt.publish.identity import Identity
from cw_mqtt.publish.kept import kept, read_back
from cw_mqtt.publish.limits import Protocol, Suspicion
from cw_mqtt.publish.neighbours import Neighbours
from cw_mqtt.publish.network import NetworkBell
from cw_mqtt.publish.requests import Received, Requests
from cw_mqtt.publish.retelling import Retelling
from cw_mqtt.publish.telling import Telling
from cw_mqtt.publish.topics import HEALTH_EVERY_S, ONLINE, Message, Topics
from cw_mqtt.publish.totals import Retained, topics_of_totals
from cw_mqtt.runtime.health import Health

log = logging.getLogger(__name__)

ACK_AT_THE_END_WITHIN_S = 2.0
SHORT_LIFE_S = 10.0


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

    name = "mqtt"
    longest_pause_s = 5.0
    when_stuck = "the broker does not acknowledge messages: see whether it or its network hangs"

    def __init__(
        self,
        mqtt: MqttSettings,
        settings: Settings,
        *,
        journal: Journal,
        health: Health,
        events: deque[Event],
        lift_total: Callable[[str, Energy], None],
        knows_totals: Callable[[], bool],
        bridge_info: Callable[[], Mapping[str, Any]],
        actions: Mapping[str, Callable[[], None]],
        clock: Callable[[], float] = time.time,
        birth_pause_s: tuple[float, float] = (1.0, 10.0),
        totals_within_s: float = 5.0,
        gone_after_s: float = 2.5 * HEALTH_EVERY_S,
    ) -> None:
        self._mqtt = mqtt
        self._settings = settings
        self._journal = journal
        self._health = health
        self._lift_total = lift_total
        self._knows_totals = knows_totals
        self._bridge_info = bridge_info
        self._birth_pause_s = birth_pause_s
        self._totals_within_s = totals_within_s
        self._topics = Topics(mqtt.base_topic)
        self._retelling = Retelling()
        self._requests = Requests(
            self._topics,
            mqtt.allow_requests,
            questions={"health_check": health.report},
            actions={"discovery/republish": self._republish, **actions},
        )
        self._neighbours = Neighbours(self._topics, gone_after_s)
        self._telling = Telling(settings, self._topics, journal, health, events, clock)
        self._bell = NetworkBell()
        journal.bell(self._bell)
        self._protocol: Protocol | None = None
        self._connection: Connection | None = None
        self._said: set[str] = set()
        self._suspicion = Suspicion()
        self._health_at_s = 0.0
        self._retained: Retained | None = None  # from before the first connection
        health.ask(self.name, answer=self._figures)

    def wake(self) -> None:
        """Let a waiting `serve` go on."""
        self._bell.ring()

    def close(self) -> None:
        """Let go of what it holds while it waits; after its end."""
        self._bell.close()

    def serve(self, stopping: threading.Event, works: Callable[[], None]) -> None:
        """Connect, publish until `stopping` is set, and say goodbye.

        Should the journal learn that it is of another installation, connect again as that one.
        """
        self._wait_for_totals(stopping)
        while not stopping.is_set():
            if other := self._neighbours.take_waited_for():
                self._wait_until_gone(other, stopping)
            else:
                self._serve_installation(self._journal.installation, stopping, works)

    def _wait_for_totals(self, stopping: threading.Event) -> None:
        """The database may know more, and under which name Home Assistant knows this bridge."""
        deadline_s = time.monotonic() + self._totals_within_s
        while not (stopping.is_set() or self._knows_totals()):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return
            self._bell.wait(left_s)

    def _serve_installation(
        self, installation: str, stopping: threading.Event, works: Callable[[], None]
    ) -> None:
        will = self._topics.bridge_state(online=False)
        client_id = f"cw-{installation}"
        limits = self._suspicion.limits
        connection = connect(self._mqtt, client_id, will, self._bell, self._protocol, limits)
        self._connection, self._protocol = connection, connection.protocol
        connected_at_s = time.monotonic()
        try:
            self._look_around(connection, installation)
            identity = self._identity(installation, connection)
            self._journal.note_retained(identity.retained)
            self._greet(connection, identity)
            works()
            self._neighbours.settled()
            self._suspicion.dispelled()
            connection.limits = replace(connection.limits, slowly=False)
            # at a start the other stages are not there yet: health says so only for a moment
            self._health_at_s = time.monotonic() + TICK_S
            while not stopping.is_set() and self._journal.installation == installation:
                self._step(connection, identity)
                connection.work(TICK_S)
                if not connection.is_late:
                    works()
            self._leave(connection)
        except ResourceAwayError:
            if time.monotonic() - connected_at_s < SHORT_LIFE_S:
                self._suspicion.broken(connection.unanswered(), connection.protocol)
            raise
        finally:
            self._connection = None
            connection.close()

    def _greet(self, connection: Connection, identity: Identity) -> None:
        """Tell everything in the order that shows subscribers nothing half done."""
        verbs = ["#"] if connection.limits.wildcards else self._requests.verbs
        requests = map(self._topics.request, verbs)
        info = self._topics.bridge("info")
        connection.subscribe([self._mqtt.discovery.birth_topic, info, *requests])
        self._telling.join_totals(self._join_total)
        hand_over(connection, identity, self._journal, self._neighbours)
        connection.publish(self._info(connection))
        connection.publish_all(self._telling.everything())
        self._say_alive(connection)
        connection.settle()
        read_back(connection, identity.discovery)
        for text in connection.limits.losses():
            self._say(text, text)

    def _identity(self, installation: str, connection: Connection) -> Identity:
        """What to publish; entity by entity where the broker takes no whole device."""
        states = self._journal.states().values()
        counted = {tariff for state in states for tariff in state.energy.tariffs_j}
        identity = Identity.of(installation, self._mqtt, self._settings, counted)
        discovery = self._mqtt.discovery
        objection = connection.objection(identity.discovery)
        if discovery.style != "device" or not objection:
            return identity
        self._say("devices", f"the broker does not take {objection}; telling of single entities")
        by_entity = discovery.model_copy(update={"style": "entity"})
        mqtt = self._mqtt.model_copy(update={"discovery": by_entity})
        return Identity.of(installation, mqtt, self._settings, counted)

    def _step(self, connection: Connection, identity: Identity) -> None:
        """Whatever is due now."""
        while connection.received:
            self._take(connection, identity, connection.received.popleft())
        self._telling.join_totals(self._join_total)
        connection.publish_all(self._telling.due())
        if not connection.behind:
            for message in self._telling.happened():
                connection.publish(message)
                if connection.behind:
                    break
        now_s = time.monotonic()
        if self._retelling.is_due(now_s):
            connection.publish_all(identity.discovery)
            connection.publish_all(self._telling.everything())
            self._say_alive(connection)
        if now_s >= self._health_at_s:
            self._say_alive(connection)
        for topic, why in connection.refused.items():
            self._say(topic, f"the broker does not take {topic}: {why}")

    def _leave(self, connection: Connection) -> None:
        connection.publish_all(self._telling.happened())
        connection.publish_all(self._telling.everything())
        connection.publish(self._topics.bridge_state(online=False))
        connection.settle(ACK_AT_THE_END_WITHIN_S)
        connection.say_goodbye()

    def _look_around(self, connection: Connection, installation: str) -> None:
        """See what the broker keeps, before any of it is replaced."""
        topics = {self._topics.bridge("info"), self._topics.bridge("state")}
        if self._retained is None:
            topics |= topics_of_totals(self._topics, [s.slug for s in self._settings.sensors])
        found = Retained(self._topics, kept(connection, topics))
        self._neighbours.look(connection, found, installation)
        self._retained = self._retained or found

    def _wait_until_gone(self, other: str, stopping: threading.Event) -> None:
        client_id = f"cw-{self._journal.installation}"
        connection = connect(self._mqtt, client_id, None, self._bell, self._protocol)
        try:
            self._neighbours.wait_until_gone(connection, other, stopping)
        finally:
            connection.close()

    def _join_total(self, state: SensorState) -> None:
        """Lift a total to what this sensor has published in an earlier life."""
        if self._retained is None:
            return
        if published := self._retained.total(self._journal.installation, state):
            self._lift_total(state.sensor, published)
        elif self._retained.has_total(state.sensor):
            log.warning(
                "%s: the broker keeps a total that this sensor of this installation has not "
                "published; it is replaced, and not gone on from",
                state.sensor,
            )

    def _take(self, connection: Connection, identity: Identity, received: Received) -> None:
        """Home Assistant's birth, another bridge, or a request."""
        birth_topic = self._mqtt.discovery.birth_topic
        if received.topic == self._topics.bridge("info"):
            if self._neighbours.yields_to(connection, received, self._journal.installation):
                connection.publish(self._info(connection))
                self._say_alive(connection)
        elif received.topic.startswith(self._topics.request("")):
            self._answer(connection, identity, received)
        elif (received.topic, received.payload, received.retained) == (birth_topic, ONLINE, False):
            self._republish(random.uniform(*self._birth_pause_s))  # noqa: S311 - no secret

    def _answer(self, connection: Connection, identity: Identity, request: Received) -> None:
        answer = replace(self._requests, kept=identity.retained).answer(request)
        connection.publish(answer.message)
        if answer.afterwards:
            connection.settle()
            log.info("%s was asked for over MQTT", request.topic)
            answer.afterwards()

    def _republish(self, pause_s: float = 0.0) -> None:
        self._retelling.ask(time.monotonic(), pause_s)

    def _info(self, connection: Connection) -> Message:
        return self._telling.info(
            version=__version__,
            installation=self._journal.installation,
            mqtt=connection.protocol,
            tls=self._mqtt.tls is not None,
            **self._bridge_info(),
        )

    def _say_alive(self, connection: Connection) -> None:
        connection.publish_all(self._telling.alive())
        self._health_at_s = time.monotonic() + HEALTH_EVERY_S

    def _say(self, what: str, text: str) -> None:
        """Say it once."""
        if what not in self._said:
            self._said.add(what)
            log.warning("%s", text)

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
