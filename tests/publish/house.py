"""A journal and a publisher on it, which tests may start, stop and settle anew."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from cw_mqtt.config.settings import MqttSettings
from cw_mqtt.measure.energy import never_less
from cw_mqtt.model import JOULES_PER_KWH, Chain, Energy, Reading, SensorState, Verdict
from cw_mqtt.publish.publication import Publication
from cw_mqtt.publish.publisher import MqttPublisher
from cw_mqtt.runtime.stages import Stage
from tests.home import START_TS, Home
from tests.settings import SENSOR, settings
from tests.waiting import DEADLINE_S, wait_until

NOW_TS = START_TS


def reading(power_w: float = 512, ts: int = NOW_TS) -> Reading:
    """A reading that counts."""
    return Reading("main", ts, power_w, 240, 3290, Verdict.VERIFIED)


def state(power_w: float = 512, kwh: float = 12.5, ts: int = NOW_TS, **energy: Any) -> SensorState:
    """The state of a sensor that works, with its total loaded."""
    total = {"total_j": kwh * JOULES_PER_KWH, "loaded": True}
    chain = Chain(intervals_s=(8.2, 8.1, 8.3), loss=0.025)
    return SensorState(
        "main", chain, Energy(**total | energy), reading(power_w, ts), float(ts), identity="a1"
    )


class House(Home):
    """A home whose `sensors` and `providers` may be set; `done` is what was asked over MQTT."""

    def __init__(self, folder: Path, mqtt: dict[str, Any]) -> None:
        super().__init__(folder)
        self.mqtt = mqtt
        self.totals_within_s = 0.0
        self.gone_after_s = 60.0
        self.sensors: list[dict[str, Any]] = [SENSOR]
        self.providers: list[dict[str, Any]] = []
        self.done: list[str] = []
        self.stage: Stage | None = None

    def start(self, **mqtt: Any) -> None:
        """Start the publisher; does not wait for it."""
        publication = Publication(
            MqttSettings.model_validate({**self.mqtt, **mqtt}),
            settings(self.folder, sensors=self.sensors, providers=self.providers),
            journal=self.journal,
            health=self.health,
            events=self.events,
            lift_total=self.lift_total,
            knows_totals=self.knows_totals,
            bridge_info=lambda: {"database": "sqlite"},
            actions={"restart": lambda: self.done.append("restart")},
            clock=lambda: self.now_ts,
            birth_pause_s=(0.0, 0.01),
            totals_within_s=self.totals_within_s,
            gone_after_s=self.gone_after_s,
        )
        self.stage = Stage(MqttPublisher(publication), self.health)
        self.stage.start()

    def start_and_wait(self, **mqtt: Any) -> None:
        """Start the publisher and wait until it has told everything."""
        self.start(**mqtt)
        self.wait_until_works()

    def wait_until_works(self) -> None:
        """Wait until the stage says that it works."""
        wait_until(lambda: self.health.stages()["mqtt"].state == "working")

    def reason(self) -> str:
        """Wait until the stage says why it does not work, and give that."""
        wait_until(lambda: self.health.stages()["mqtt"].reason not in ("starting", None))
        return self.health.stages()["mqtt"].reason or ""

    def stop(self) -> None:
        """Stop the publisher in order."""
        if self.stage:
            self.stage.ask_to_stop()
            assert self.stage.join(DEADLINE_S)
            self.stage = None

    def lose_journal(self) -> None:
        """Go on with a new journal."""
        self.stop()
        self.new_journal()

    def close(self) -> None:
        """Stop everything."""
        self.stop()
        super().close()

    def lift_total(self, slug: str, published: Energy) -> None:
        """What the bridge does."""
        self.journal.update(
            slug, lambda state: replace(state, energy=never_less(state.energy, published))
        )

    def knows_totals(self) -> bool:
        """Whether the total of the sensor is there."""
        return any(state.energy.loaded for state in self.journal.states().values())
