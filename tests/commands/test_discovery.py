import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cw_mqtt.commands.discovery import clean_up
from cw_mqtt.errors import UsageError
from tests.mosquitto import Broker
from tests.publish.observer import Observer
from tests.settings import settings
from tests.waiting import wait_until

OURS = {"origin": {"name": "cw-mqtt"}, "state_topic": "citizenwatt/old/power"}
THEIRS = {"origin": {"name": "zigbee2mqtt"}, "state_topic": "citizenwatt/old/power"}
NEIGHBOURS = {"origin": {"name": "cw-mqtt"}, "state_topic": "flat2/main/power"}
KEPT = {
    "citizenwatt/bridge/info": {"installation": "1a2b"},
    "citizenwatt/main/energy": 12.5,
    "homeassistant/device/1a2b_main/config": OURS,
    "homeassistant/sensor/plug/config": THEIRS,
    "homeassistant/device/9f9f_main/config": NEIGHBOURS,
    "homeassistant/sensor/odd/config": [1],
}
GHOSTS = {"homeassistant/device/0000_main/config": OURS, "citizenwatt/old/energy": 1}


@pytest.fixture
def made(broker: Broker, tmp_path: Path) -> Any:
    """Settings with one sensor, `main`, of the installation 1a2b."""
    return settings(tmp_path, mqtt={"host": broker.host, "port": broker.port})


def publish(broker: Broker, topics: dict[str, Any]) -> None:
    with closing(Observer(broker)) as observer:
        for topic, payload in topics.items():
            observer.publish(topic, json.dumps(payload), retain=True)


def retained(broker: Broker) -> set[str]:
    with closing(Observer(broker)) as late:
        late.publish("marker", "x")
        wait_until(lambda: late.payloads("marker"))
        return {seen.topic for seen in late.seen if seen.retained}


def test_what_nobody_uses_any_more_is_removed_discovery_first(broker: Broker, made: Any) -> None:
    publish(broker, {**KEPT, **GHOSTS})

    removed = clean_up(made, dry_run=False)

    assert removed == list(GHOSTS)
    assert retained(broker) == set(KEPT)


def test_a_dry_run_only_tells(broker: Broker, made: Any) -> None:
    publish(broker, {**KEPT, **GHOSTS})

    assert clean_up(made, dry_run=True) == list(GHOSTS)
    assert retained(broker) == {*KEPT, *GHOSTS}


def test_without_a_bridge_nothing_is_guessed(broker: Broker, made: Any) -> None:
    publish(broker, GHOSTS)

    with pytest.raises(UsageError, match="let `cw-mqtt run` connect once"):
        clean_up(made, dry_run=False)


def test_without_a_broker_in_the_settings_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no section mqtt"):
        clean_up(settings(tmp_path), dry_run=False)
