"""What of one sensor is published, and when."""

import logging

from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.measure.tariff import Contract
from cw_mqtt.model import Energy, Event, Reading, SensorState, is_silent, timeout_s
from cw_mqtt.publish.topics import Message, Topics, is_due

log = logging.getLogger(__name__)


class SensorPublisher:
    """Turns a sensor's state into the messages that are due.

    Remembers what was published: on this connection, so that only changes are published, and
    ever, so that the energy total never falls and a return is told once. No total is published
    before it is `joined` to what was published in earlier lives.
    """

    def __init__(self, settings: SensorSettings, topics: Topics, contract: Contract) -> None:
        self.slug = settings.slug
        self.joined = False
        self._settings = settings
        self._topics = topics
        self._contract = contract
        self._was_online: bool | None = None
        self._highest_kwh = 0.0
        self._fallen = False
        self.forget()

    def forget(self) -> None:
        """Begin anew: everything is due, as on a new connection."""
        self._nothing_sent = True
        self._sent: Reading | None = None
        self._sent_kwh: float | None = None
        self._sent_kwh_ts = 0
        self._online: bool | None = None

    def messages(self, state: SensorState, now_ts: float) -> list[Message]:
        """What to publish now that the sensor is in `state`, the most urgent first."""
        configured_s = self._settings.availability_timeout_s
        limit_s = timeout_s(state, configured_s)
        online = not is_silent(state, configured_s, now_ts)
        turned = online != self._online
        kwh, latest = self._total_kwh(state.energy), state.latest
        due = self._is_due(latest, kwh, limit_s)
        messages: list[Message] = []
        if due or turned:  # silent for too long: the power is taken back
            messages.append(self._topics.power(state, limit_s, now_ts))
        if kwh is not None and self._is_energy_due(latest, kwh, due=due):
            self._sent_kwh, self._sent_kwh_ts = kwh, latest.ts if latest else 0
            messages.append(self._topics.energy(self.slug, kwh))
        if due and latest:
            messages.append(self._topics.state(state, latest, kwh, self._contract))
        if turned:
            messages.append(self._topics.availability(self.slug, online=online))
        if self._was_online not in (None, online):
            kind = "sensor_online" if online else "sensor_offline"
            messages.append(self._topics.event(Event(kind, now_ts, self.slug)))
        if due:
            self._nothing_sent, self._sent = False, latest
        self._online = self._was_online = online
        return messages

    def _is_due(self, latest: Reading | None, kwh: float | None, limit_s: float) -> bool:
        if self._nothing_sent or (self._sent_kwh is None and kwh is not None):
            return True
        if latest is None or latest == self._sent:
            return False
        if self._sent is None:
            return True
        overload = self._contract.overload
        return overload(latest) != overload(self._sent) or is_due(
            self._sent, latest, self._settings.publish, limit_s
        )

    def _is_energy_due(self, latest: Reading | None, kwh: float, *, due: bool) -> bool:
        """At its own pace if it has one, else together with the power; never the same twice."""
        if self._sent_kwh is None or kwh == self._sent_kwh:
            return self._sent_kwh is None
        pace_s = self._settings.publish.energy_every_s
        if pace_s is None or latest is None:
            return due
        # in both directions: the clock may have been set back
        return abs(latest.ts - self._sent_kwh_ts) >= pace_s

    def _total_kwh(self, energy: Energy) -> float | None:
        """The total to publish; None until it is complete and joined to earlier ones."""
        if not (energy.loaded and self.joined):
            return None
        kwh = round(energy.total_kwh, 3)
        fallen = kwh < self._highest_kwh
        if fallen and not self._fallen:
            log.error(
                "%s: the energy total fell from %.3f to %.3f kWh; the higher one stays published",
                self.slug,
                self._highest_kwh,
                kwh,
            )
        self._fallen = fallen
        self._highest_kwh = max(self._highest_kwh, kwh)
        return self._highest_kwh
