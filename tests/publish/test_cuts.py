"""A soak: the line is cut at random moments, also in the middle of a greeting."""

import gc
import json
import random
import time

import pytest

from cw_mqtt.publish.publisher import MqttPublisher
from cw_mqtt.runtime.health import resident_mb
from tests.amounts import amount
from tests.publish.doorman import Doorman
from tests.publish.house import House
from tests.publish.observer import Observer
from tests.waiting import wait_until

CUTS = amount(20, torture=1000)
WARM_UP = 20
MOST_GROWTH_MB = 3.0
REQUEST, RESPONSE = (f"citizenwatt/bridge/{what}/health_check" for what in ("request", "response"))


def ask(observer: Observer, transaction: int) -> bool:
    """Ask as others do; whether the bridge has heard it and answered."""
    observer.publish(REQUEST, json.dumps({"transaction": transaction}))
    began_s = time.monotonic()
    while time.monotonic() - began_s < 0.3:
        if f'"transaction":{transaction}' in (observer.last(RESPONSE) or ""):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_no_cut_costs_a_subscription_or_memory(
    house: House,
    doorman: Doorman,
    observer: Observer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    protocol: str,
) -> None:
    monkeypatch.setattr(MqttPublisher, "longest_pause_s", 0.02)
    chance = random.Random(protocol)
    house.start_and_wait(host=doorman.host, port=doorman.port, protocol=protocol)
    warm_mb = 0.0

    for cut in range(CUTS // 2):
        time.sleep(chance.uniform(0, 0.1))
        doorman.cut()
        wait_until(lambda: ask(observer, cut))  # noqa: B023 - used at once
        observer.seen.clear()
        caplog.clear()
        if cut == min(WARM_UP, CUTS // 4):
            gc.collect()
            warm_mb = resident_mb()

    gc.collect()
    assert resident_mb() - warm_mb < MOST_GROWTH_MB
    house.wait_until_works()
