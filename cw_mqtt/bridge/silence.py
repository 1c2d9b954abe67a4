"""Who should be heard and is not: silent sensors, receivers that hear nothing of use."""

from collections.abc import Callable, Mapping
from typing import Any

from cw_mqtt.config.settings import Settings
from cw_mqtt.model import Chunk, SensorState, is_silent, iso_utc, timeout_s
from cw_mqtt.runtime.clock import steady_s
from cw_mqtt.runtime.health import Health
from cw_mqtt.runtime.stages import Condition

FEW_FRAMES = 10
RESTARTS_TOLD = 3  # one after the other, without a packet whose power is right
REPEAT_S = 5.0  # the sensor tries 16 times within 79 ms
HELD_BACK_S = 120.0  # what a network may hold back: a connection that breaks is given up by then
NO_USE_AFTER_S = 120.0  # a dozen periods of a sensor: one that is there was heard by then

NO_USE = (
    "hears frames that no key opens, and none that one does: is its port that of the receiver "
    "(name it by /dev/serial/by-id), and are the sensors' keys right? cw-mqtt analyze tells more"
)
SILENT = (
    "silent for more than {limit_s:.0f} s, {last}: see its battery, and its way to the receiver; "
    "cw-mqtt analyze tells what is heard"
)


class SilenceWatch:
    """Follows whether each sensor, and by each receiver anything of use, is heard; for one thread.

    `steady` says how long the bridge has listened: who was not heard while it was stopped is
    no trouble yet. When a sensor was heard is known of its state, as it is to page and MQTT.
    """

    def __init__(
        self, settings: Settings, health: Health, steady: Callable[[], float] = steady_s
    ) -> None:
        self._steady = steady
        self._started_s = steady()
        self._sensors = {sensor.slug: sensor for sensor in settings.sensors}
        self._of_use_s = {receiver.name: self._started_s for receiver in settings.receivers}
        self._useless = dict.fromkeys(self._of_use_s, 0)
        self._known_useless = dict.fromkeys(self._of_use_s, 0)
        self._wrong: dict[str, Condition] = {}
        self._health = health
        self._recent: dict[bytes, Chunk] = {}

    def of_use_s(self, receiver: str) -> float:
        """When a receiver last heard a proven packet, or was started; for any thread."""
        return self._of_use_s[receiver]

    def proven(self, receiver: str) -> None:
        """A receiver has heard a sensor's own packet."""
        self._of_use_s[receiver] = self._steady()
        self._known_useless[receiver] = self._useless[receiver]

    def useless(self, receiver: str, count: int) -> None:
        """So many frames that no key opened has a receiver heard since its start."""
        self._useless[receiver] = count

    def is_repeated(self, chunk: Chunk, payload: bytes) -> bool:
        """Whether a packet that comes again is no replay; to be asked about each packet.

        The radio repeats some at once, and another receiver may hear the same.
        """
        recent = self._recent
        while recent and chunk.monotonic_s - next(iter(recent.values())).monotonic_s > HELD_BACK_S:
            del recent[next(iter(recent))]
        first = recent.get(payload)
        if first is None:
            recent[payload] = chunk
            return False
        soon = chunk.monotonic_s - first.monotonic_s <= REPEAT_S
        return soon or first.receiver != chunk.receiver

    def look(self, states: Mapping[str, SensorState], now_ts: float) -> None:
        """Say who should be heard and is not, and who is heard again."""
        now_s = self._steady()
        for slug, sensor in self._sensors.items():
            state, configured_s = states[slug], sensor.availability_timeout_s
            limit_s = timeout_s(state, configured_s)
            last = f"last heard at {iso_utc(state.seen_ts)}" if state.seen_ts else "not heard yet"
            reason = SILENT.format(limit_s=limit_s, last=last)
            listened = now_s - self._started_s > limit_s
            silent = is_silent(state, configured_s, now_ts)
            self._note(f"sensor {slug}", reason if listened and silent else None)
        for receiver, count in self._useless.items():
            useless = count - self._known_useless[receiver] >= FEW_FRAMES
            silent = now_s - self._of_use_s[receiver] > NO_USE_AFTER_S
            self._note(f"packets {receiver}", NO_USE if useless and silent else None)

    def _note(self, name: str, reason: str | None) -> None:
        condition = self._wrong.get(name)
        if reason is None:
            if condition:
                condition.right()
            return
        if condition is None:
            condition = self._wrong[name] = Condition(name, self._health, 0.0, self._steady)
        if condition.is_right:
            condition.wrong(reason)


def report_sensor(state: SensorState, held: int, now_ts: float) -> dict[str, Any]:
    """What `/health` says of a sensor: no power, no energy, no key."""
    chain, seen_ts = state.chain, state.seen_ts
    return {
        "last_seen": iso_utc(seen_ts) if seen_ts else None,
        "last_seen_s_ago": round(now_ts - seen_ts, 1) if seen_ts else None,
        "interval_s": round(chain.interval_s, 3) if chain.interval_s else None,
        "loss": round(chain.loss, 4),
        "restarts": chain.restarts,
        "held": held,
        "keeps_restarting": chain.unsettled >= RESTARTS_TOLD,
        "key": "previous" if state.previous_key else "current",
        "total_loaded": state.energy.loaded,
        "heard": {str(verdict): count for verdict, count in state.verdicts.items()},
    }
