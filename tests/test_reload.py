"""Settings that change while the bridge runs: as values, and in the running program."""

import json
import shutil
import socket
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cw_mqtt import reload as reloading
from cw_mqtt.config.load import load_settings
from cw_mqtt.config.settings import Settings
from cw_mqtt.errors import InUseError, ResourceAwayError
from cw_mqtt.journal.journal import Journal
from cw_mqtt.model import Event
from cw_mqtt.reload import SettingsWatch, differences
from tests.command import write_config
from tests.end_to_end.process import Bridge, Subscriber
from tests.mosquitto import Broker
from tests.program import HOST, free_port
from tests.settings import NIGHT_CONTRACT, SENSOR, settings
from tests.waiting import wait_until

STAT_EVERY_S = 0.01
BEGINNINGS = 8
SIMULATED = {"receivers": [{"name": "hall", "port": "simulated:"}]}
WITH_FILES = """
timezone: Europe/Paris
receivers: [{name: hall, port: 'simulated:'}]
sensors: [{slug: main, name: Main, key: 00112233445566778899aabbccddeeff}]
mqtt:
  host: localhost
  username: cw
  tls: {ca: ca.pem}
  password: !file password
"""
OTHER_KEY = "ffeeddccbbaa99887766554433221100"


class Watched:
    """A config.yaml, its watch, and what the watch did."""

    def __init__(self, folder: Path) -> None:
        self.path = write_config(folder)
        self.events: list[Event] = []
        self.taken: list[Settings] = []
        self.stopping = threading.Event()
        self.watch = SettingsWatch(
            self.path, load_settings(self.path), self.events.append, self._take
        )

    def save(self, **changes: Any) -> None:
        write_config(self.path.parent, **changes)

    def look(self) -> None:
        """Serve for as long as a file has to stand still, and longer."""
        self.stopping.clear()
        timer = threading.Timer(50 * STAT_EVERY_S, self.stopping.set)
        timer.start()
        try:
            self.watch.serve(self.stopping, lambda: None)
        finally:
            timer.cancel()

    def _take(self, settings: Settings) -> None:
        self.taken.append(settings)
        self.stopping.set()


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr(reloading, "STAT_EVERY_S", STAT_EVERY_S)
    return Watched(tmp_path)


def test_a_changed_file_that_is_right_is_taken_up(watched: Watched) -> None:
    watched.save(timezone="Europe/London")

    watched.look()

    assert [str(settings.timezone) for settings in watched.taken] == ["Europe/London"]
    assert [(e.type, e.text) for e in watched.events] == [("config_reloaded", "timezone")]


@pytest.mark.parametrize("wrong", [{"prot": 1}, {"data_dir": "/proc/none"}])
def test_a_file_that_is_wrong_is_refused_and_the_bridge_goes_on(
    watched: Watched, wrong: dict[str, Any]
) -> None:
    watched.save(**wrong)

    with pytest.raises(ResourceAwayError, match="the previous settings stay in use"):
        watched.look()

    assert watched.taken == []
    assert [event.type for event in watched.events] == ["config_refused"]


def test_a_refusal_is_told_once_and_a_mended_file_is_taken_up(watched: Watched) -> None:
    watched.save(prot=1)
    for _again in range(3):
        with pytest.raises(ResourceAwayError, match="prot: unknown setting"):
            watched.look()

    watched.save(timezone="Europe/London")
    watched.look()

    assert [event.type for event in watched.events] == ["config_refused", "config_reloaded"]


@pytest.fixture
def with_files(watched: Watched) -> Watched:
    """One whose config.yaml names a file with a password and one with certificates."""
    for name in ("password", "ca.pem"):
        (watched.path.parent / name).write_text("old")
    watched.path.write_text(WITH_FILES)
    watched.look()
    watched.look()  # what it names for the first time is looked at twice
    return watched


@pytest.mark.parametrize(
    ("file", "setting"), [("password", "mqtt.password"), ("ca.pem", "mqtt.tls.ca")]
)
def test_another_file_with_a_secret_or_certificate_is_taken_up(
    with_files: Watched, file: str, setting: str
) -> None:
    (with_files.path.parent / file).write_text("another")

    with_files.look()

    assert len(with_files.taken) == 2
    assert with_files.events[-1].type == "config_reloaded"
    assert with_files.events[-1].text == setting


def test_a_missing_file_is_told_once_and_taken_up_when_it_is_there(with_files: Watched) -> None:
    with_files.path.write_text(WITH_FILES.replace("password\n", "password2\n"))
    for _again in range(2):
        with pytest.raises(ResourceAwayError, match="no such file"):
            with_files.look()

    (with_files.path.parent / "password2").write_text("new")
    with_files.look()

    kinds = [event.type for event in with_files.events]
    assert kinds == ["config_reloaded", "config_refused", "config_reloaded"]


def test_a_file_that_says_the_same_changes_nothing(watched: Watched) -> None:
    watched.path.write_text(watched.path.read_text() + "\n")

    watched.look()

    assert (watched.taken, watched.events) == ([], [])


def test_a_data_dir_that_another_process_holds_is_refused(watched: Watched, tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "taken")):
        watched.save(data_dir=str(tmp_path / "taken"))

        with pytest.raises(ResourceAwayError, match="the previous settings stay in use"):
            watched.look()

    assert watched.taken == []


def test_what_could_not_begin_is_told_until_the_file_changes(watched: Watched) -> None:
    before = load_settings(watched.path)
    watched.save(timezone="Europe/London")
    watched.look()

    watched.watch.refuse(before, ResourceAwayError("the disk is full"))
    with pytest.raises(
        ResourceAwayError, match="the disk is full; the previous settings stay in use"
    ):
        watched.look()
    watched.save(timezone="Asia/Tokyo")
    watched.look()

    assert [str(settings.timezone) for settings in watched.taken] == ["Europe/London", "Asia/Tokyo"]
    kinds = [event.type for event in watched.events]
    assert kinds == ["config_reloaded", "config_refused", "config_reloaded"]


def test_differences_are_named_and_never_shown() -> None:
    old = settings(Path(), sensors=[SENSOR], providers=[NIGHT_CONTRACT])
    new = settings(Path(), sensors=[{**SENSOR, "key": OTHER_KEY, "name": "Flat"}])

    named = differences(old, new)

    slug = SENSOR["slug"]
    assert {f"sensors[{slug}].key", f"sensors[{slug}].name", "providers"} <= named
    assert OTHER_KEY not in "".join(named)


def test_a_running_bridge_takes_up_what_is_saved(tmp_path: Path, broker: Broker) -> None:
    bridge = Bridge(tmp_path, {**SIMULATED, "mqtt": {"host": broker.host, "port": broker.port}})
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
    wait_until(lambda: len(events.messages) >= 2)

    assert bridge.pid == pid
    assert "config_refused" in events.messages[0][1]
    assert "config_reloaded" in events.messages[1][1]
    assert "energy.max_gap_s" in events.messages[1][1]
    events.close()
    bridge.stop()


def test_every_setting_is_taken_up_wherever_the_bridge_was_started(tmp_path: Path) -> None:
    gone, moved, port = tmp_path / "gone", tmp_path / "moved", free_port()
    (gone / "cw_mqtt").mkdir(parents=True)
    (gone / "cw_mqtt" / "__init__.py").write_text("raise SystemExit('not this one')")
    bridge = Bridge(tmp_path, SIMULATED, cwd=gone)
    bridge.start()
    config = tmp_path / "config.yaml"
    right = json.loads(config.read_text())
    changed = {
        "data_dir": str(moved),
        "timezone": "Asia/Tokyo",
        "web": {"host": HOST, "port": port},
        "logging": {"format": "json"},
    }

    shutil.rmtree(gone)
    config.write_text(json.dumps(right | changed))
    old_port, bridge.port = bridge.port, port
    wait_until(lambda: report(bridge).get("timezone") == "Asia/Tokyo")

    Journal(tmp_path / "data").close()
    with pytest.raises(InUseError):
        Journal(moved)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, old_port))
    bridge.stop()
    assert json.loads(bridge.log_file.read_text().splitlines()[-1])["message"] == "stopped"


def test_what_was_opened_is_closed_before_all_begins_anew(tmp_path: Path, broker: Broker) -> None:
    mqtt = {"host": broker.host, "port": broker.port, "allow_requests": ["restart"]}
    bridge = Bridge(tmp_path, {**SIMULATED, "mqtt": mqtt})
    bridge.start()
    wait_until(lambda: bridge.works("mqtt", "database", "web"))
    somebody = Subscriber(broker.host, broker.port, "citizenwatt/bridge/response/restart")
    before = descriptors_and_threads(bridge)

    for connections in range(2, 2 + BEGINNINGS):
        somebody.publish("citizenwatt/bridge/request/restart", "")
        wait_until(lambda: bridge.log_file.read_text().count("mqtt: works") == connections)  # noqa: B023

    # a connection that was just closed may linger for a moment, a pool may have a thread more
    wait_until(lambda: descriptors_and_threads(bridge) < before + BEGINNINGS)
    wait_until(lambda: bridge.works("mqtt", "database", "web"))
    somebody.close()
    bridge.stop()
    assert bridge.exit_code == 0


def test_who_ends_the_bridge_while_it_begins_anew_ends_it_for_good(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path, SIMULATED)
    bridge.start()
    config = tmp_path / "config.yaml"

    config.write_text(json.dumps(json.loads(config.read_text()) | {"timezone": "Asia/Tokyo"}))
    wait_until(lambda: "applying timezone" in bridge.log_file.read_text())
    bridge.stop()

    assert bridge.exit_code == 0
    assert report(bridge) == {}


def descriptors_and_threads(bridge: Bridge) -> int:
    """How many it has in all."""
    process = Path(f"/proc/{bridge.pid}")
    return sum(len(list((process / kind).iterdir())) for kind in ("fd", "task"))


def reason(bridge: Bridge) -> str | None:
    return bridge.health()["stages"]["settings"]["reason"]


def report(bridge: Bridge) -> dict[str, Any]:
    """What `/health` says; nothing while the bridge starts again."""
    try:
        return bridge.health()
    except OSError:
        return {}
