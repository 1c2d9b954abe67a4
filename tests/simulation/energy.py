"""A household's energy at the end of the whole path, and what it truly drew."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

from cw_mqtt.model import JOULES_PER_KWH
from cw_mqtt.records import Key, Range
from cw_mqtt.runtime.stages import Stage
from cw_mqtt.simulate.firmware import SensorFirmware
from cw_mqtt.simulate.household import plausible_power_w
from cw_mqtt.store.web_queries import WebQueries
from tests.packets import KEY, START_TS
from tests.simulate.air import Habits, Signal, broadcast, lossy
from tests.simulation.house import Listener
from tests.waiting import DEADLINE_S, wait_until

PERIOD_S = 8.192
DAY_S = 86400
PACKETS_AT_ONCE = 50_000


@dataclass
class Truth:
    """What the clamp saw at each packet that was sent, heard or not, added up."""

    joules: float = 0.0
    before: Signal | None = None

    def watch(self, signals: Iterable[Signal]) -> Iterator[Signal]:
        """The same signals."""
        for signal in signals:
            before = self.before
            if before and not before.settling:
                seconds = signal.ts - before.ts
                self.joules += (before.power_w + signal.power_w) / 2 * seconds
            self.before = signal
            yield signal


@dataclass(frozen=True, slots=True)
class Result:
    """The energy that was drawn, that is in the database, and that was published."""

    true_kwh: float
    stored_kwh: float
    published_kwh: float


def simulate(folder: Path, days: float, loss: float) -> Result:
    """Let a household's packets go through radio, bridge, journal and database."""
    truth, firmware = Truth(), SensorFirmware(KEY, Random("household"))
    sent = broadcast("main", firmware, START_TS, plausible_power_w, Habits(PERIOD_S))
    signals = truth.watch(islice(sent, int(days * DAY_S / PERIOD_S)))
    heard = lossy(signals, loss, Random("air"))
    listener = Listener(folder)
    writer = listener.writer()
    stage = Stage(writer, listener.health)
    stage.start()
    while listener.hear(islice(heard, PACKETS_AT_ONCE)):
        writer.flush()
        wait_until(lambda: unstored(listener) == 0, progress=lambda: unstored(listener))
    stage.ask_to_stop()
    assert stage.join(DEADLINE_S)
    (whole,) = WebQueries(listener.engine, listener.settings).sums(
        Range(1, Key.TIME, 0, 10**16), 10**16
    )
    published_kwh = listener.state().energy.total_kwh
    listener.close()
    assert whole
    return Result(truth.joules / JOULES_PER_KWH, sum(whole.kwh), published_kwh)


def unstored(listener: Listener) -> int:
    """How many readings the database has not got yet."""
    waiting: int = listener.health.report()["journal"]["unstored"]
    return waiting
