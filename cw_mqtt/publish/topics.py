"""What is published under which topic: names, payloads, how long and how surely they are kept.

Pure: values in, messages out.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cw_mqtt.config.settings import PublishSettings
from cw_mqtt.measure.tariff import Contract
from cw_mqtt.model import JOULES_PER_KWH, Energy, Event, Reading, SensorState, iso_utc

ONLINE, OFFLINE = "online", "offline"
BRIDGE_DOCUMENTS = ("state", "info", "health", "totals")
SENSOR_VALUES = ("energy", "state", "power", "availability")  # in the order told on connecting

HEALTH_EVERY_S = 60.0
HEALTH_EXPIRY_S = 180


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message; `expiry_s` (MQTT 5 only) is when the broker forgets it, None: never.

    An empty payload that is retained removes what the broker keeps under the topic.
    `correlation` (MQTT 5 only) is what a request gave, for its sender to know the answer by.
    `shorter` is a payload for brokers to which this one is too large.
    """

    topic: str
    payload: str
    qos: Literal[0, 1]
    retain: bool
    expiry_s: int | None = None
    correlation: bytes | None = None
    shorter: str | None = None


@dataclass(frozen=True, slots=True)
class Topics:
    """The names of all topics below `base`."""

    base: str

    def bridge(self, document: str) -> str:
        """A topic of the bridge itself: state, info, health, totals or event."""
        return f"{self.base}/bridge/{document}"

    def sensor(self, slug: str, value: str) -> str:
        """A topic of a sensor: state, power, energy or availability."""
        return f"{self.base}/{slug}/{value}"

    def request(self, verb: str) -> str:
        """Where others ask the bridge for something."""
        return self.bridge(f"request/{verb}")

    def response(self, verb: str) -> str:
        """Where the bridge answers, unless the request names another topic."""
        return self.bridge(f"response/{verb}")

    def retained(self, slugs: Sequence[str]) -> set[str]:
        """Every topic under which the broker keeps something of these sensors and the bridge."""
        bridge = {self.bridge(document) for document in BRIDGE_DOCUMENTS}
        return bridge | {self.sensor(slug, value) for slug in slugs for value in SENSOR_VALUES}

    def bridge_state(self, *, online: bool) -> Message:
        """Whether the bridge works; as `offline` it is also the last will."""
        return Message(self.bridge("state"), word(online=online), 1, retain=True)

    def bridge_info(self, info: Mapping[str, Any]) -> Message:
        """What the bridge is: version, installation, connection."""
        return Message(self.bridge("info"), to_json(info), 1, retain=True)

    def bridge_totals(self, installation: str, identities: Mapping[str, str]) -> Message:
        """Whose the retained totals are: by slug, what tells each sensor from others."""
        owner = {"installation": installation, "sensors": identities}
        return Message(self.bridge("totals"), to_json(owner), 1, retain=True)

    def bridge_health(self, report: Mapping[str, Any], summary: Mapping[str, Any]) -> Message:
        """How the bridge does; the broker forgets it when the bridge no longer says."""
        return Message(
            self.bridge("health"),
            to_json({**report, **summary}),
            0,
            retain=True,
            expiry_s=HEALTH_EXPIRY_S,
            shorter=to_json({"status": report["status"], **summary}),
        )

    def event(self, event: Event) -> Message:
        """Something that happened once."""
        payload = {"type": event.type, "sensor": event.sensor, "at": iso_utc(event.ts)}
        if event.text:
            payload["text"] = event.text
        return Message(self.bridge("event"), to_json(payload), 1, retain=False)

    def availability(self, slug: str, *, online: bool) -> Message:
        """Whether the sensor was heard lately."""
        return Message(self.sensor(slug, "availability"), word(online=online), 1, retain=True)

    def energy(self, slug: str, kwh: float) -> Message:
        """The energy total."""
        return Message(self.sensor(slug, "energy"), f"{kwh:.3f}", 1, retain=True)

    def power(self, state: SensorState, timeout_s: float, now_ts: float) -> Message:
        """The newest power in W, kept for as long as it is current; outdated, it is removed."""
        latest, left_s = state.latest, 0
        if latest:
            left_s = math.ceil(timeout_s - abs(now_ts - latest.ts))
        payload = str(round(latest.power_w)) if latest and left_s > 0 else ""
        return Message(
            self.sensor(state.sensor, "power"),
            payload,
            0,
            retain=True,
            expiry_s=left_s if payload else None,
        )

    def state(
        self, state: SensorState, latest: Reading, kwh: float | None, contract: Contract
    ) -> Message:
        """Everything known of a sensor as one JSON object; what is unknown is null."""
        interval_s = state.chain.interval_s
        values: dict[str, Any] = {
            "power": round(latest.power_w),
            "energy": kwh,
            "voltage": latest.voltage_v,
            "battery": latest.battery_mv / 1000,
            "last_seen": iso_utc(state.seen_ts or latest.ts),
            "interval": round(interval_s, 1) if interval_s else None,
            "loss": round(state.chain.loss, 3),
            "quality": str(latest.verdict),
            **contract_values(contract, latest, state.energy if kwh is not None else None),
        }
        # what the broker keeps tells the sums to a bridge that has lost them
        retain = kwh is not None
        return Message(self.sensor(state.sensor, "state"), to_json(values), 1, retain=retain)


def contract_values(contract: Contract, latest: Reading, energy: Energy | None) -> dict[str, Any]:
    """What the contract adds to a sensor's state; unknown totals are null."""
    values: dict[str, Any] = {}
    if contract.tariffs:
        values["tariff"] = contract.tariff_at(latest.ts).name
    for tariff in contract.tariffs:
        kwh = energy.tariffs_j.get(tariff, 0.0) / JOULES_PER_KWH if energy else None
        values[f"energy_{tariff}"] = None if kwh is None else round(kwh, 3)
    if contract.currency:
        values["cost"] = round(energy.cost, 4) if energy else None
    if contract.limited:
        values["overload"] = contract.overload(latest)
    return values


def cleared(topic: str) -> Message:
    """Removes what the broker keeps under `topic`."""
    return Message(topic, "", 1, retain=True)


def is_due(sent: Reading, latest: Reading, policy: PublishSettings, timeout_s: float) -> bool:
    """Whether a new reading is published, when the last one published is `sent`.

    Either setting alone thins out; of both together, the first that is met counts. After half
    the timeout every reading is due, or the broker would forget a power that is still true.
    """
    elapsed_s = abs(latest.ts - sent.ts)  # abs: also after the clock was set back
    if elapsed_s >= timeout_s / 2 or not (policy.every_s or policy.on_change_w):
        return True
    changed_w = abs(latest.power_w - sent.power_w)
    return (policy.every_s > 0 and elapsed_s >= policy.every_s) or (
        policy.on_change_w > 0 and changed_w >= policy.on_change_w
    )


def word(*, online: bool) -> str:
    """The word that Home Assistant expects on availability topics."""
    return ONLINE if online else OFFLINE


def to_json(values: Mapping[str, Any]) -> str:
    """Compact JSON."""
    return json.dumps(values, separators=(",", ":"))
