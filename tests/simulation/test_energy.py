"""Energy at the end of the whole path, against what the simulated house truly drew."""

import threading
from itertools import islice, pairwise
from pathlib import Path
from random import Random

import pytest

from cw_mqtt.model import JOULES_PER_KWH, Key, Range
from cw_mqtt.simulate.air import Habits, Signal, broadcast, lossy
from cw_mqtt.simulate.firmware import SensorFirmware
from cw_mqtt.simulate.household import plausible_power_w
from cw_mqtt.store.archive import Archive
from cw_mqtt.store.engine import sqlite_engine
from cw_mqtt.store.writer import DatabaseWriter
from tests.packets import KEY, START_TS
from tests.settings import settings
from tests.simulation.house import Listener

PERIOD_S = 8.192
DAY_S = 86400
LOSS = 0.02


def sent(days: float) -> list[Signal]:
    """A household's packets, and what its clamp saw when each was sent."""
    firmware = SensorFirmware(KEY, Random("household"))
    habits = Habits(PERIOD_S)
    signals = broadcast("main", firmware, START_TS, plausible_power_w, habits)
    return list(islice(signals, int(days * DAY_S / PERIOD_S)))


def true_kwh(signals: list[Signal]) -> float:
    """What was drawn from the first settled packet to the last one."""
    settled = [s for s in signals if not s.settling]
    joules = sum((a.power_w + b.power_w) / 2 * (b.ts - a.ts) for a, b in pairwise(settled))
    return joules / JOULES_PER_KWH


@pytest.mark.parametrize("days", [10])
def test_energy_is_within_a_thousandth_of_the_truth_at_two_percent_loss(
    tmp_path: Path, days: int
) -> None:
    signals = sent(days)
    listener = Listener(tmp_path)
    listener.hear(lossy(iter(signals), LOSS, Random("air")))
    engine = sqlite_engine(tmp_path / "measures.sqlite")
    chosen = settings(tmp_path)
    writer = DatabaseWriter(engine, chosen, listener.journal, listener.health, lambda *_: None)
    stopping = threading.Event()

    writer.serve(stopping, stopping.set)
    while writer._store_batch():
        pass

    (whole,) = Archive(engine, chosen).sums(Range(1, Key.TIME, 0, 10**16), 10**16)
    assert whole
    assert sum(whole.kwh) == pytest.approx(true_kwh(signals), rel=0.001)
    assert listener.state().energy.total_kwh == pytest.approx(sum(whole.kwh), rel=1e-9)
    listener.close()
