"""What of one sensor is published, and when."""

import logging
from dataclasses import dataclass

from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.model import Energy, Reading, SensorState
from cw_mqtt.publish.topics import Message, Topics, is_due, is_online, timeout_s

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    """What subscribers were told last."""

    latest: Reading | None
    kwh: float | None


class SensorPublisher:
    """Turns a sensor's state into the messages that are due.

    Remembers what was published: on this connection, so that only changes are published, and
    ever, so that the energy total never falls.
    """

    def __init__(self, settings: SensorSettings, topics: Topics, *, night_prices: bool) -> None:
        self.slug = settings.slug
        self._settings = settings
        self._topics = topics
        self._night_prices = night_prices
        self._sent: Sent | None = None
        self._online: bool | None = None
        self._highest_kwh = 0.0
        self._fallen = False

    def forget(self) -> None:
        """Begin anew: everything is due, as on a new connection."""
        self._sent = self._online = None

    def messages(self, state: SensorState, now_ts: float) -> list[Message]:
        """What to publish now that the sensor is in `state`, the most urgent first."""
        limit_s = timeout_s(state.chain.intervals_s, self._settings.availability_timeout_s)
        online = is_online(state.seen_ts, limit_s, now_ts)
        kwh = self._total_kwh(state.energy)
        latest, sent = state.latest, self._sent
        due = self._is_due(latest, kwh, limit_s)
        messages: list[Message] = []
        if due:
            self._sent = Sent(latest, kwh)
        if due or online != self._online:  # silent for too long: the power is taken back
            messages.append(self._topics.power(state, limit_s, now_ts))
        if due and kwh is not None and (sent is None or sent.kwh != kwh):
            messages.append(self._topics.energy(self.slug, kwh))
        if due and latest:
            messages.append(self._topics.state(state, latest, kwh, night_prices=self._night_prices))
        if online != self._online:
            messages.append(self._topics.availability(self.slug, online=online))
        self._online = online
        return messages

    def _is_due(self, latest: Reading | None, kwh: float | None, limit_s: float) -> bool:
        sent = self._sent
        if sent is None or (sent.kwh is None and kwh is not None):
            return True
        if latest is None or latest == sent.latest:
            return False
        return sent.latest is None or is_due(sent.latest, latest, self._settings.publish, limit_s)

    def _total_kwh(self, energy: Energy) -> float | None:
        """The total to publish; None until it is complete and joined to earlier ones."""
        if not (energy.loaded and energy.published):
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
