"""How the bridge does, in the few words that an entity of Home Assistant can show."""

from collections.abc import Iterator, Mapping
from typing import Any

from cw_mqtt.model import PROVEN, Event
from cw_mqtt.publish.topics import word
from cw_mqtt.runtime.health import StageHealth

RATE_OVER_S = 30.0
RECEIVER = "receiver "  # begins the names of their stages


class BridgeStatus:
    """Follows the bridge's health report: the rate of packets, and receivers that come and go."""

    def __init__(self) -> None:
        self._since: tuple[float, int] | None = None
        self._per_minute: float | None = None
        self._working: set[str] = set()
        self._lost: set[str] = set()

    def summary(self, report: Mapping[str, Any], now_s: float) -> dict[str, Any]:
        """Whether every receiver works, and proven packets a minute; None until known."""
        receivers = [
            s["state"] for name, s in report["stages"].items() if name.startswith(RECEIVER)
        ]
        packets = sum(
            sensor["heard"].get(verdict, 0)
            for sensor in report.get("sensors", {}).values()
            for verdict in PROVEN
        )
        self._follow(packets, now_s)
        return {
            "receiver": word(online=all(state == "working" for state in receivers)),
            "packets_per_minute": self._per_minute,
        }

    def events(self, stages: Mapping[str, StageHealth], now_ts: float) -> Iterator[Event]:
        """Receivers that were lost, or are back, since the last call."""
        for name, stage in stages.items():
            if not name.startswith(RECEIVER):
                continue
            if stage.state == "working":
                if name in self._lost:
                    yield Event("receiver_back", now_ts, text=name)
                self._working.add(name)
                self._lost.discard(name)
            elif name in self._working:
                yield Event("receiver_lost", now_ts, text=f"{name}: {stage.reason}")
                self._working.discard(name)
                self._lost.add(name)

    def _follow(self, packets: int, now_s: float) -> None:
        if self._since is None:
            self._since = now_s, packets
        began_s, before = self._since
        if now_s - began_s >= RATE_OVER_S:
            self._per_minute = round((packets - before) * 60 / (now_s - began_s), 1)
            self._since = now_s, packets
