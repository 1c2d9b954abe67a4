"""The MQTT stage: keeps the broker told of what the journal holds."""

import logging
import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cw_mqtt import __version__
from cw_mqtt.config.settings import MqttSettings, SensorSettings
from cw_mqtt.health import Health
from cw_mqtt.journal import Journal
from cw_mqtt.model import Event, SensorState
from cw_mqtt.publish.client import TICK_S, Connection, Protocol, connect
from cw_mqtt.publish.discovery import MIGRATE, discovery_first
from cw_mqtt.publish.identity import Identity
from cw_mqtt.publish.network import NetworkBell
from cw_mqtt.publish.retelling import Retelling
from cw_mqtt.publish.sensor import SensorPublisher
from cw_mqtt.publish.topics import (
    HEALTH_EVERY_S,
    ONLINE,
    SENSOR_VALUES,
    Message,
    Topics,
    cleared,
)

log = logging.getLogger(__name__)

RETAINED_WITHIN_S = 1.0  # some brokers send retained messages a while after the SUBACK
ACK_AT_THE_END_WITHIN_S = 2.0


class MqttPublisher:
    """Publishes the sensors' current state; a service for a stage.

    `announce_total(slug, retained_kwh)` must commit that a total is published from now on,
    raised to the one that the broker still holds. `events` is emptied. `bridge_info` adds to
    the topic `bridge/info`. `birth_pause_s` is the range of the random wait after Home
    Assistant has started, so that not all bridges answer at once. A journal that does not know
    its totals has `totals_within_s` to learn them, and its installation, from the database.
    """

    name = "mqtt"
    longest_pause_s = 5.0

    def __init__(
        self,
        mqtt: MqttSettings,
        sensors: Sequence[SensorSettings],
        *,
        night_prices: bool,
        journal: Journal,
        health: Health,
        events: deque[Event],
        announce_total: Callable[[str, float | None], None],
        bridge_info: Callable[[], Mapping[str, Any]],
        clock: Callable[[], float] = time.time,
        birth_pause_s: tuple[float, float] = (1.0, 10.0),
        totals_within_s: float = 5.0,
    ) -> None:
        self._mqtt = mqtt
        self._journal = journal
        self._health = health
        self._events = events
        self._announce_total = announce_total
        self._bridge_info = bridge_info
        self._clock = clock
        self._birth_pause_s = birth_pause_s
        self._totals_within_s = totals_within_s
        self._topics = Topics(mqtt.base_topic)
        self._sensors = [
            SensorPublisher(sensor, self._topics, night_prices=night_prices) for sensor in sensors
        ]
        self._settings = tuple(sensors)
        self._night_prices = night_prices
        self._bell = NetworkBell()
        journal.bell(self._bell)
        self._protocol: Protocol | None = None
        self._connection: Connection | None = None
        self._retained: dict[str, str] = {}
        self._said_refused: set[str] = set()
        self._health_at_s = 0.0
        self._retelling = Retelling()
        health.ask(self.name, answer=self._figures)

    def wake(self) -> None:
        """Let a waiting `serve` go on."""
        self._bell.ring()

    def serve(self, stopping: threading.Event, works: Callable[[], None]) -> None:
        """Connect, publish until `stopping` is set, and say goodbye.

        Should the journal learn that it is of another installation, connect again as that one.
        """
        self._wait_for_totals(stopping)
        while not stopping.is_set():
            self._serve_installation(self._journal.installation, stopping, works)

    def _wait_for_totals(self, stopping: threading.Event) -> None:
        """A new journal does not know yet under which name Home Assistant knows this bridge."""
        deadline_s = time.monotonic() + self._totals_within_s
        while not stopping.is_set() and not all(
            (state := self._journal.states().get(sensor.slug)) and state.energy.loaded
            for sensor in self._sensors
        ):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return
            self._bell.wait(left_s)

    def _serve_installation(
        self, installation: str, stopping: threading.Event, works: Callable[[], None]
    ) -> None:
        identity = Identity.of(
            installation, self._mqtt, self._topics, self._settings, night_prices=self._night_prices
        )
        self._journal.note_retained(identity.retained)
        connection = connect(
            self._mqtt,
            f"cw-{installation}",
            self._topics.bridge_state(online=False),
            self._bell,
            self._protocol,
        )
        self._connection, self._protocol = connection, connection.protocol
        try:
            self._greet(connection, identity)
            works()
            # at a start the other stages are not there yet: health says so only for a moment
            self._health_at_s = time.monotonic() + TICK_S
            log.info("connected to %s with MQTT %s", self._mqtt.host, connection.protocol)
            while not stopping.is_set() and self._journal.installation == installation:
                self._step(connection, identity)
                connection.work(TICK_S)
            self._leave(connection)
        finally:
            self._connection = None
            connection.close()

    def _greet(self, connection: Connection, identity: Identity) -> None:
        """Tell everything in the order that shows subscribers nothing half done."""
        connection.subscribe([self._mqtt.discovery.birth_topic])
        self._take_over_totals(connection)
        self._hand_over_discovery(connection, identity)
        self._publish_info(connection)
        self._publish_everything(connection)
        self._say_alive(connection)
        connection.settle()

    def _step(self, connection: Connection, identity: Identity) -> None:
        """Whatever is due now."""
        self._take_received(connection)
        self._take_over_totals(connection)
        self._publish_all(connection, self._due_messages())
        while self._events and not connection.behind:
            connection.publish(self._topics.event(self._events.popleft()))
        now_s = time.monotonic()
        if self._retelling.is_due(now_s):
            self._publish_all(connection, identity.discovery)
            self._publish_everything(connection)
            self._say_alive(connection)
        if now_s >= self._health_at_s:
            self._say_alive(connection)
        self._report_refused(connection)

    def _leave(self, connection: Connection) -> None:
        self._publish_everything(connection)
        connection.publish(self._topics.bridge_state(online=False))
        connection.settle(ACK_AT_THE_END_WITHIN_S)
        connection.say_goodbye()

    def _hand_over_discovery(self, connection: Connection, identity: Identity) -> None:
        """Publish discovery; clear what was retained under topics no longer wanted.

        For entities that change from one style of discovery to the other, Home Assistant is
        told first, so that it keeps their history and their users' changes. Of those that end,
        discovery is cleared before the values: an entity still there cannot read an empty value.
        """
        ghosts = sorted(self._journal.retained_topics() - identity.retained, key=discovery_first)
        moving = [topic for topic in ghosts if topic in identity.handed_over]
        self._publish_all(connection, (Message(topic, MIGRATE, 1, retain=True) for topic in moving))
        connection.settle()
        self._publish_all(connection, identity.discovery)
        connection.settle()
        self._publish_all(connection, map(cleared, ghosts))
        connection.settle()
        self._journal.note_retained((), ghosts)

    def _take_over_totals(self, connection: Connection) -> None:
        """For totals that this journal has never published, ask the broker for earlier ones.

        A journal that was lost and rebuilt may know less than subscribers were told.
        """
        states = self._journal.states()
        slugs = {
            self._topics.sensor(sensor.slug, "energy"): sensor.slug
            for sensor in self._sensors
            if (state := states.get(sensor.slug))
            and state.energy.loaded
            and not state.energy.published
        }
        if not slugs:
            return
        self._retained.clear()
        connection.subscribe(list(slugs))
        deadline_s = time.monotonic() + RETAINED_WITHIN_S
        self._take_received(connection)
        while slugs.keys() - self._retained and time.monotonic() < deadline_s:
            connection.work(max(0.0, deadline_s - time.monotonic()))
            self._take_received(connection)
        connection.unsubscribe(list(slugs))
        for topic, slug in slugs.items():
            self._announce_total(slug, parse_total(topic, self._retained.get(topic)))

    def _take_received(self, connection: Connection) -> None:
        while connection.received:
            received = connection.received.popleft()
            if received.topic != self._mqtt.discovery.birth_topic:
                if received.retained:
                    self._retained[received.topic] = received.payload
            elif received.payload == ONLINE and not received.retained:
                pause_s = random.uniform(*self._birth_pause_s)  # noqa: S311 - no secret
                self._retelling.ask(time.monotonic(), pause_s)

    def _publish_everything(self, connection: Connection) -> None:
        """Publish every value of every sensor: all totals first, availability last."""
        for sensor in self._sensors:
            sensor.forget()
        in_order = sorted(
            self._due_messages(),
            key=lambda message: SENSOR_VALUES.index(message.topic.rpartition("/")[2]),
        )
        self._publish_all(connection, in_order)

    def _due_messages(self) -> list[Message]:
        states, now_ts = self._journal.states(), self._clock()
        return [
            message
            for sensor in self._sensors
            for message in sensor.messages(
                states.get(sensor.slug, SensorState(sensor.slug)), now_ts
            )
        ]

    def _publish_all(self, connection: Connection, messages: Iterable[Message]) -> None:
        for message in messages:
            connection.publish(message)

    def _publish_info(self, connection: Connection) -> None:
        info = {
            "version": __version__,
            "installation": self._journal.installation,
            "mqtt": connection.protocol,
            "tls": self._mqtt.tls is not None,
            "sensors": [sensor.slug for sensor in self._sensors],
            **self._bridge_info(),
        }
        connection.publish(self._topics.bridge_info(info))

    def _say_alive(self, connection: Connection) -> None:
        """Publish the health, and `online`: its acknowledgement proves the connection."""
        connection.publish(self._topics.bridge_health(self._health.report()))
        connection.publish(self._topics.bridge_state(online=True))
        self._health_at_s = time.monotonic() + HEALTH_EVERY_S

    def _report_refused(self, connection: Connection) -> None:
        for topic in connection.refused - self._said_refused:
            log.warning("the broker does not let us use %s; see its access rules", topic)
        self._said_refused |= connection.refused

    def _figures(self) -> dict[str, Any]:
        connection = self._connection  # the stage's thread may let go of it meanwhile
        if connection is None:
            return {"protocol": None}
        return {
            "protocol": connection.protocol,
            "published": connection.published,
            "waiting": connection.waiting,
            "last_ack_s_ago": round(time.monotonic() - connection.acked_at_s, 1),
            "refused": sorted(connection.refused),
        }


def parse_total(topic: str, payload: str | None) -> float | None:
    """The energy total in a retained message; None when there is none that makes sense."""
    if not payload:
        return None
    try:
        kwh = float(payload)
    except ValueError:
        kwh = math.nan
    if math.isfinite(kwh) and kwh >= 0:
        return kwh
    log.warning("the broker holds no energy total under %s but %.40r; ignored", topic, payload)
    return None
