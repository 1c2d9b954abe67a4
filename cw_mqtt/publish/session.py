"""One connection to the broker, from looking around to the goodbye."""

import logging
import random
import time
from dataclasses import replace

from cw_mqtt import __version__
from cw_mqtt.journal.journal import Journal
from cw_mqtt.model import SensorState
from cw_mqtt.publish.client import TICK_S, Connection
from cw_mqtt.publish.homeassistant import MIGRATE, Identity, discovery_first
from cw_mqtt.publish.neighbours import Neighbours
from cw_mqtt.publish.publication import Publication
from cw_mqtt.publish.requests import Received, Requests
from cw_mqtt.publish.retained import kept, read_back
from cw_mqtt.publish.topics import HEALTH_EVERY_S, ONLINE, Message, cleared
from cw_mqtt.publish.totals import Retained, topics_of_totals

log = logging.getLogger(__name__)

ACK_AT_THE_END_WITHIN_S = 2.0


class Session:
    """One connection, from looking around at the broker to the goodbye."""

    def __init__(
        self,
        publication: Publication,
        requests: Requests,
        connection: Connection,
        installation: str,
    ) -> None:
        self._publication = publication
        self._requests = requests
        self._connection = connection
        self._installation = installation
        self._topics, self._outbox = publication.topics, publication.outbox
        self._look_around()
        self._identity = self._choose_identity()
        publication.journal.note_retained(self._identity.retained)
        self._greet()
        # at a start the other stages are not there yet: health says so only for a moment
        self._health_at_s = time.monotonic() + TICK_S

    def step(self) -> None:
        """Whatever is due now."""
        connection = self._connection
        while connection.received:
            self._take(connection.received.popleft())
        self._outbox.join_totals(self._join_total)
        connection.publish_all(self._outbox.due())
        if not connection.behind:
            for message in self._outbox.happened():
                connection.publish(message)
                if connection.behind:
                    break
        now_s = time.monotonic()
        if self._publication.republish_timer.is_due(now_s):
            connection.publish_all(self._identity.discovery)
            connection.publish_all(self._outbox.everything())
            self._say_alive()
        if now_s >= self._health_at_s:
            self._say_alive()
        for topic, why in connection.refused.items():
            self._publication.say(topic, f"the broker does not accept {topic}: {why}")

    def leave(self) -> None:
        """Publish what is left, and say goodbye."""
        connection = self._connection
        connection.publish_all(self._outbox.happened())
        connection.publish_all(self._outbox.everything())
        connection.publish(self._topics.bridge_state(online=False))
        connection.settle(ACK_AT_THE_END_WITHIN_S)
        connection.say_goodbye()

    def _look_around(self) -> None:
        """See what the broker keeps, before any of it is replaced."""
        publication = self._publication
        topics = {self._topics.bridge("info"), self._topics.bridge("state")}
        if publication.retained is None:
            slugs = [sensor.slug for sensor in publication.settings.sensors]
            topics |= topics_of_totals(self._topics, slugs)
        found = Retained(self._topics, kept(self._connection, topics))
        publication.neighbours.look(self._connection, found, self._installation)
        publication.retained = publication.retained or found

    def _choose_identity(self) -> Identity:
        """What to publish; entity by entity where the broker takes no whole device."""
        mqtt, settings = self._publication.mqtt, self._publication.settings
        states = self._publication.journal.states().values()
        counted = {tariff for state in states for tariff in state.energy.tariffs_j}
        identity = Identity.of(self._installation, mqtt, settings, counted)
        objection = self._connection.objection(identity.discovery)
        if mqtt.discovery.style != "device" or not objection:
            return identity
        self._publication.say(
            "devices", f"the broker does not accept {objection}; publishing discovery by entity"
        )
        by_entity = mqtt.discovery.model_copy(update={"style": "entity"})
        mqtt = mqtt.model_copy(update={"discovery": by_entity})
        return Identity.of(self._installation, mqtt, settings, counted)

    def _greet(self) -> None:
        """Tell everything in the order that shows subscribers nothing half done."""
        connection, publication = self._connection, self._publication
        verbs = ["#"] if connection.limits.wildcards else self._requests.verbs
        requests = map(self._topics.request, verbs)
        info = self._topics.bridge("info")
        connection.subscribe([publication.mqtt.discovery.birth_topic, info, *requests])
        self._outbox.join_totals(self._join_total)
        _hand_over(connection, self._identity, publication.journal, publication.neighbours)
        connection.publish(self._info())
        connection.publish_all(self._outbox.everything())
        self._say_alive()
        connection.settle()
        read_back(connection, self._identity.discovery)
        for text in connection.limits.losses():
            publication.say(text, text)

    def _join_total(self, state: SensorState) -> None:
        """Lift a total to what this sensor has published in an earlier life."""
        retained = self._publication.retained
        if retained is None:
            return
        if published := retained.total(self._publication.journal.installation, state):
            self._publication.lift_total(state.sensor, published)
        elif retained.has_total(state.sensor):
            log.warning(
                "%s: the broker keeps a total that this sensor of this installation has not "
                "published; it is replaced",
                state.sensor,
            )

    def _take(self, received: Received) -> None:
        """Home Assistant's birth, another bridge, or a request."""
        publication = self._publication
        birth_topic = publication.mqtt.discovery.birth_topic
        if received.topic == self._topics.bridge("info"):
            installation = publication.journal.installation
            if publication.neighbours.yields_to(self._connection, received, installation):
                self._connection.publish(self._info())
                self._say_alive()
        elif received.topic.startswith(self._topics.request("")):
            self._answer(received)
        elif (received.topic, received.payload, received.retained) == (birth_topic, ONLINE, False):
            publication.republish(random.uniform(*publication.birth_pause_s))  # noqa: S311 - no secret

    def _answer(self, request: Received) -> None:
        answer = replace(self._requests, kept=self._identity.retained).answer(request)
        self._connection.publish(answer.message)
        if answer.afterwards:
            self._connection.settle()
            log.info("%s was requested over MQTT", request.topic)
            answer.afterwards()

    def _info(self) -> Message:
        return self._outbox.info(
            version=__version__,
            installation=self._publication.journal.installation,
            mqtt=self._connection.protocol,
            tls=self._publication.mqtt.tls is not None,
            **self._publication.bridge_info(),
        )

    def _say_alive(self) -> None:
        self._connection.publish_all(self._outbox.alive())
        self._health_at_s = time.monotonic() + HEALTH_EVERY_S


def _hand_over(
    connection: Connection, identity: Identity, journal: Journal, neighbours: Neighbours
) -> None:
    """Publish discovery; clear what was retained under topics no longer wanted.

    For entities that change from one style of discovery to the other, Home Assistant is
    told first, so that it keeps their history and their users' changes. Of those that end,
    discovery is cleared before the values: an entity still there cannot read an empty value.
    """
    unused = journal.retained_topics() - identity.retained
    theirs = neighbours.theirs(connection, unused)
    journal.note_retained((), theirs)
    ghosts = sorted(unused - theirs, key=discovery_first)
    moving = [topic for topic in ghosts if topic in identity.handed_over]
    migrations = (Message(topic, MIGRATE, 1, retain=True) for topic in moving)
    for messages in (migrations, identity.discovery, map(cleared, ghosts)):
        connection.publish_all(messages)
        connection.settle()
    # what the broker did not let us clear is tried again on the next connection
    journal.note_retained((), set(ghosts) - connection.refused.keys())
