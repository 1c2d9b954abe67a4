"""What there is to tell: every sensor's values, the bridge itself, and what happened."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cw_mqtt.config.settings import Settings
from cw_mqtt.health import Health
from cw_mqtt.journal import Journal
from cw_mqtt.model import Event, SensorState
from cw_mqtt.publish.contract import Contract
from cw_mqtt.publish.sensor import SensorPublisher
from cw_mqtt.publish.topics import SENSOR_VALUES, Message, Topics
from cw_mqtt.publish.vitals import Vitals

ORDER = (*SENSOR_VALUES, "event")


class Telling:
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
        self._vitals = Vitals()
        contract = Contract(settings)
        self._sensors = [SensorPublisher(sensor, topics, contract) for sensor in settings.sensors]

    def everything(self) -> list[Message]:
        """Every value of every sensor: all totals first, availability last."""
        for sensor in self._sensors:
            sensor.forget()
        return sorted(self.due(), key=lambda each: ORDER.index(each.topic.rpartition("/")[2]))

    def due(self) -> list[Message]:
        """What of the sensors has changed since it was told."""
        states, now_ts = self._journal.states(), self._clock()
        return [
            message
            for sensor in self._sensors
            for message in sensor.messages(
                states.get(sensor.slug, SensorState(sensor.slug)), now_ts
            )
        ]

    def happened(self) -> Iterator[Message]:
        """The events since the last call; one that is not taken stays."""
        self._events.extend(self._vitals.events(self._health.stages(), self._clock()))
        while self._events:
            yield self._topics.event(self._events.popleft())

    def alive(self) -> list[Message]:
        """The health, and `online`: its acknowledgement proves the connection."""
        report = self._health.report()
        summary = self._vitals.summary(report, time.monotonic())
        return [
            self._topics.bridge_health(report, summary),
            self._topics.bridge_state(online=True),
        ]

    def unloaded(self) -> bool:
        """Whether the database has yet to tell a total."""
        states = self._journal.states()
        return not all(
            (state := states.get(sensor.slug)) and state.energy.loaded for sensor in self._sensors
        )

    def never_published(self) -> Mapping[str, str]:
        """The sensors whose total this journal has never published, by its topic."""
        states = self._journal.states()
        return {
            self._topics.sensor(sensor.slug, "energy"): sensor.slug
            for sensor in self._sensors
            if (state := states.get(sensor.slug))
            and state.energy.loaded
            and not state.energy.published
        }

    def info(self, **values: Any) -> Message:
        """What the bridge is: `values`, and which sensors it has."""
        slugs = [sensor.slug for sensor in self._sensors]
        return self._topics.bridge_info({**values, "sensors": slugs})
