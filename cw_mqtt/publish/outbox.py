"""What there is to tell: every sensor's values, the bridge itself, and what happened."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from cw_mqtt.config.settings import Settings
from cw_mqtt.journal.journal import Journal
from cw_mqtt.measure.tariff import Contract
from cw_mqtt.model import Event, SensorState
from cw_mqtt.publish.bridge_status import BridgeStatus
from cw_mqtt.publish.sensor import SensorPublisher
from cw_mqtt.publish.topics import SENSOR_VALUES, Message, Topics
from cw_mqtt.runtime.health import Health

ORDER = (*SENSOR_VALUES, "event", "totals")


class Outbox:
    """Makes messages of what the journal holds and health knows; `events` is emptied."""

    def __init__(
        self,
        settings: Settings,
        topics: Topics,
        journal: Journal,
        health: Health,
        events: deque[Event],
        clock: Callable[[], float],
    ) -> None:
        self._topics = topics
        self._journal = journal
        self._health = health
        self._events = events
        self._clock = clock
        self._status = BridgeStatus()
        self._owner: Message | None = None
        contract = Contract(settings)
        self._sensors = [SensorPublisher(sensor, topics, contract) for sensor in settings.sensors]

    def everything(self) -> list[Message]:
        """Every value of every sensor: all totals first, availability last."""
        self._owner = None
        for sensor in self._sensors:
            sensor.forget()
        return sorted(self.due(), key=lambda each: ORDER.index(each.topic.rpartition("/")[2]))

    def due(self) -> list[Message]:
        """What of the sensors has changed since it was told."""
        states, now_ts = self._journal.states(), self._clock()
        messages = [
            message
            for sensor in self._sensors
            for message in sensor.messages(
                states.get(sensor.slug, SensorState(sensor.slug)), now_ts
            )
        ]
        if all(sensor.joined for sensor in self._sensors):
            identities = {sensor.slug: states[sensor.slug].identity for sensor in self._sensors}
            owner = self._topics.bridge_totals(self._journal.installation, identities)
            if owner != self._owner:
                messages.append(owner)
                self._owner = owner
        return messages

    def happened(self) -> Iterator[Message]:
        """The events since the last call; one that is not taken stays."""
        self._events.extend(self._status.events(self._health.stages(), self._clock()))
        while self._events:
            yield self._topics.event(self._events.popleft())

    def alive(self) -> list[Message]:
        """The health, and `online`: its acknowledgement proves the connection."""
        report = self._health.report()
        summary = self._status.summary(report, time.monotonic())
        return [
            self._topics.bridge_health(report, summary),
            self._topics.bridge_state(online=True),
        ]

    def join_totals(self, join: Callable[[SensorState], None]) -> None:
        """Have each total that is whole joined to earlier ones; from then on it is told."""
        states = self._journal.states()
        for sensor in self._sensors:
            state = states.get(sensor.slug)
            if state and state.energy.loaded and not sensor.joined:
                join(state)
                sensor.joined = True

    def info(self, **values: Any) -> Message:
        """What the bridge is: `values`, and which sensors it has."""
        slugs = [sensor.slug for sensor in self._sensors]
        return self._topics.bridge_info({**values, "sensors": slugs})


AGAIN_AT_MOST_EVERY_S = 60.0


class RepublishTimer:
    """When to tell everything again, asked for by Home Assistant's starts: not too often."""

    def __init__(self) -> None:
        self._at_s = math.inf
        self._last_s = -math.inf

    def ask(self, now_s: float, pause_s: float) -> None:
        """Make it due after `pause_s`, and a minute after the last time at the earliest."""
        self._at_s = min(self._at_s, max(now_s + pause_s, self._last_s + AGAIN_AT_MOST_EVERY_S))

    def is_due(self, now_s: float) -> bool:
        """Whether it is time; true once for what was asked."""
        if now_s < self._at_s:
            return False
        self._at_s, self._last_s = math.inf, now_s
        return True
