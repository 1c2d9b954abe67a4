"""The MQTT stage: keeps the broker told of what the journal holds."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.publish.client import TICK_S, Connection, connect
from cw_mqtt.publish.limits import Protocol, Suspicion
from cw_mqtt.publish.paho_setup import SocketWakeup
from cw_mqtt.publish.publication import Publication
from cw_mqtt.publish.requests import Requests
from cw_mqtt.publish.session import Session

SHORT_LIFE_S = 10.0


class MqttPublisher:
    """Publishes the sensors' current state; a service for a stage."""

    name = "mqtt"
    longest_pause_s = 5.0
    when_stuck = "the broker does not acknowledge messages: see whether it or its network hangs"

    def __init__(self, publication: Publication) -> None:
        self._publication = publication
        self._journal = publication.journal
        self._requests = Requests(
            publication.topics,
            publication.mqtt.allow_requests,
            questions={"health_check": publication.health.report},
            actions={"discovery/republish": publication.republish, **publication.actions},
        )
        self._wakeup = SocketWakeup()
        self._journal.wakes(self._wakeup)
        self._protocol: Protocol | None = None
        self._connection: Connection | None = None
        self._suspicion = Suspicion()
        publication.health.ask(self.name, answer=self._figures)

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
                self._serve_installation(self._journal.installation, stopping, works)

    def _wait_for_totals(self, stopping: threading.Event) -> None:
        """The database may know more, and under which name Home Assistant knows this bridge."""
        deadline_s = time.monotonic() + self._publication.totals_within_s
        while not (stopping.is_set() or self._publication.knows_totals()):
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
        connection = connect(
            self._publication.mqtt, client_id, will, self._wakeup, self._protocol, limits
        )
        self._connection, self._protocol = connection, connection.protocol
        connected_at_s = time.monotonic()
        try:
            session = Session(self._publication, self._requests, connection, installation)
            works()
            self._publication.neighbours.settled()
            self._suspicion.dispelled()
            connection.limits = replace(connection.limits, slowly=False)
            while not stopping.is_set() and self._journal.installation == installation:
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
        client_id = f"cw-{self._journal.installation}"
        connection = connect(self._publication.mqtt, client_id, None, self._wakeup, self._protocol)
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
