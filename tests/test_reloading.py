"""Settings that change while the bridge runs: as values, and in the running program."""

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from cw_mqtt import reloading
from cw_mqtt.config.load import load_settings
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.model import Event
from cw_mqtt.reloading import SettingsWatch, differences
from tests.command import write_config
from tests.end_to_end.process import Bridge, Subscriber
from tests.mosquitto import Broker
from tests.settings import NIGHT_CONTRACT, SENSOR, settings
from tests.waiting import wait_until

LOOK_EVERY_S = 0.01
OTHER_KEY = "ffeeddccbbaa99887766554433221100"


class Watched:
    """A config.yaml, its watch, and what the watch did."""

    def __init__(self, folder: Path) -> None:
        self.path = write_config(folder)
        self.events: list[Event] = []
        self.restarts = 0
        self.stopping = threading.Event()
        self.watch = SettingsWatch(
            self.path, load_settings(self.path), self.events.append, self._restart
        )

    def save(self, **changes: Any) -> None:
        write_config(self.path.parent, **changes)

    def look(self) -> None:
        """Serve for as long as a file has to stand still, and longer."""
        threading.Timer(50 * LOOK_EVERY_S, self.stopping.set).start()
        self.watch.serve(self.stopping, lambda: None)

    def _restart(self) -> None:
        self.restarts += 1
        self.stopping.set()


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr(reloading, "LOOK_EVERY_S", LOOK_EVERY_S)
    return Watched(tmp_path)


def test_a_changed_file_that_is_right_is_taken_up(watched: Watched) -> None:
    watched.save(timezone="Europe/London")

    watched.look()

    assert watched.restarts == 1
    assert [(e.type, e.text) for e in watched.events] == [("config_reloaded", "timezone")]


@pytest.mark.parametrize("wrong", [{"prot": 1}, {"data_dir": "/proc/none"}])
def test_a_file_that_is_wrong_is_refused_and_the_bridge_goes_on(
    watched: Watched, wrong: dict[str, Any]
) -> None:
    watched.save(**wrong)

    with pytest.raises(ResourceAwayError, match="the old settings go on"):
        watched.look()

    assert watched.restarts == 0
    assert [event.type for event in watched.events] == ["config_refused"]


def test_a_refusal_is_told_once_and_a_mended_file_is_taken_up(watched: Watched) -> None:
    watched.save(prot=1)
    for _again in range(3):
        with pytest.raises(ResourceAwayError, match="prot: unknown setting"):
            watched.look()

    watched.save(timezone="Europe/London")
    watched.look()

    assert [event.type for event in watched.events] == ["config_refused", "config_reloaded"]


def test_a_file_that_says_the_same_changes_nothing(watched: Watched) -> None:
    watched.path.write_text(watched.path.read_text() + "\n")

    watched.look()

    assert (watched.restarts, watched.events) == (0, [])


def test_differences_are_named_and_never_shown() -> None:
    old = settings(Path(), sensors=[SENSOR], providers=[NIGHT_CONTRACT])
    new = settings(Path(), sensors=[{**SENSOR, "key": OTHER_KEY, "name": "Flat"}])

    named = differences(old, new)

    slug = SENSOR["slug"]
    assert {f"sensors[{slug}].key", f"sensors[{slug}].name", "providers"} <= named
    assert OTHER_KEY not in "".join(named)


def test_a_running_bridge_takes_up_what_is_saved(tmp_path: Path, broker: Broker) -> None:
    shared = {
        "receivers": [{"name": "hall", "port": "simulated:"}],
        "mqtt": {"host": broker.host, "port": broker.port},
    }
    bridge = Bridge(tmp_path, shared)
    bridge.start()
    wait_until(lambda: bridge.works("mqtt", "settings"))
    pid, started = bridge.pid, bridge.health()["started"]
    events = Subscriber(broker.host, broker.port, "citizenwatt/bridge/event")
    config = tmp_path / "config.yaml"
    right = json.loads(config.read_text())

    config.write_text(json.dumps(right | {"prot": 1}))
    wait_until(lambda: "prot: unknown" in (reason(bridge) or ""))
    config.write_text(json.dumps(right | {"energy": {"max_gap_s": 100}}))
    wait_until(lambda: report(bridge).get("started", started) != started)

    assert bridge.pid == pid
    assert "config_refused" in events.messages[0][1]
    assert "config_reloaded" in events.messages[1][1]
    assert "energy.max_gap_s" in events.messages[1][1]
    events.close()
    bridge.stop()


def test_who_ends_the_bridge_while_it_begins_anew_ends_it_for_good(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path, {"receivers": [{"name": "hall", "port": "simulated:"}]})
    bridge.start()
    wait_until(lambda: bridge.works("settings"))

    os.kill(bridge.pid, signal.SIGUSR1)
    bridge.stop()

    assert report(bridge) == {}


def reason(bridge: Bridge) -> str | None:
    return bridge.health()["stages"]["settings"]["reason"]


def report(bridge: Bridge) -> dict[str, Any]:
    """What `/health` says; nothing while the bridge starts again."""
    try:
        return bridge.health()
    except OSError:
        return {}
