"""After every fault all that is retained is right again, the total never fell.

Real Mosquitto, which keeps its store on disk. What takes the processes themselves is in
`tests/end_to_end/test_outages.py`.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from cw_mqtt.publish import client
from cw_mqtt.publish.publisher import MqttPublisher
from tests.missing import MOSQUITTO, needed
from tests.mosquitto import Broker
from tests.publish.doorman import Doorman
from tests.publish.house import House, state
from tests.publish.observer import Observer
from tests.waiting import wait_until

BIRTH = "homeassistant/status"
STATE = "citizenwatt/bridge/state"
USER, PASSWORD = "cw", "right"

pytestmark = pytest.mark.usefixtures("caplog")  # each fault is warned of


class Scene:
    """A bridge, its line to the broker, the broker, and somebody who watches."""

    def __init__(self, broker: Broker, house: House, passwords: Path) -> None:
        self.broker = broker
        self.house = house
        self.doorman = Doorman(broker)
        self.observer = Observer(broker)
        self.passwords = passwords
        self.readings = 0
        house.mqtt = {"host": self.doorman.host, "port": self.doorman.port, "username": USER}

    def read(self) -> None:
        """The next reading: a higher total, another power."""
        self.readings += 1
        self.house.journal.commit([state(500 + self.readings, kwh=12.0 + self.readings)])

    def wait_until_lost(self) -> None:
        """Wait until the bridge knows that it has no connection."""
        wait_until(lambda: self.house.health.stages()["mqtt"].state == "waiting")

    def set_password(self, password: str) -> None:
        """Change what the broker takes for the bridge's password.

        By a new start: told to read its files again, Mosquitto was seen to die.
        """
        set_password(self.passwords, password)
        self.broker.stop()
        self.broker.start()

    def retained(self) -> dict[str, str]:
        """What a subscriber that comes now is told."""
        with closing(Observer(self.broker)) as late:
            late.publish("marker", "", retain=False)
            wait_until(lambda: late.payloads("marker"))
            return {seen.topic: seen.payload for seen in late.seen if seen.retained}

    def is_right(self) -> bool:
        """Whether everything that is retained is what it should be."""
        topics = self.retained()
        node = self.house.journal.installation
        expected = {
            STATE: "online",
            "citizenwatt/main/availability": "online",
            "citizenwatt/main/energy": f"{12.0 + self.readings:.3f}",
            "citizenwatt/main/power": str(500 + self.readings),
        }
        whole = {
            "citizenwatt/bridge/info",
            "citizenwatt/bridge/health",
            f"homeassistant/device/{node}_bridge/config",
            f"homeassistant/device/{node}_main/config",
        }
        return (
            expected.items() <= topics.items()
            and whole <= topics.keys() <= self.house.journal.retained_topics()
            and json.loads(topics["citizenwatt/main/state"])["power"] == 500 + self.readings
        )

    def close(self) -> None:
        """Everybody leaves."""
        self.observer.close()
        self.house.close()
        self.doorman.close()


def set_password(file: Path, password: str) -> None:
    file.touch(mode=0o600)
    program = needed("mosquitto_passwd", MOSQUITTO)
    subprocess.run([program, "-b", file, USER, password], check=True)


@pytest.fixture(params=["5", "3.1.1"])
def scene(
    request: pytest.FixtureRequest,
    make_broker: Callable[..., Broker],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Scene]:
    """Everything works, and all is told."""
    monkeypatch.setattr(client, "BROKER_WITHIN_S", 0.7)
    monkeypatch.setattr(MqttPublisher, "longest_pause_s", 0.3)
    passwords = tmp_path / "passwords"
    set_password(passwords, PASSWORD)
    store = ["persistence true", f"persistence_location {tmp_path}/own/"]
    broker = make_broker("allow_anonymous true", f"password_file {passwords}", *store)
    scene = Scene(broker, House(tmp_path / "data", {}), passwords)
    scene.read()
    scene.house.mqtt |= {"password": PASSWORD, "protocol": request.param}
    scene.house.start_and_wait()
    yield scene
    scene.close()


def the_broker_stops(scene: Scene) -> None:
    scene.broker.stop()
    scene.wait_until_lost()
    scene.read()
    scene.broker.start()


def the_broker_is_killed_and_keeps_old_values(scene: Scene) -> None:
    scene.broker.save()
    wait_until((scene.broker.log_file.parent / "mosquitto.db").exists)
    scene.read()
    scene.observer.wait_for("citizenwatt/main/power", "502")
    scene.broker.kill()
    scene.wait_until_lost()
    scene.broker.start()


def the_broker_forgets_everything(scene: Scene) -> None:
    scene.broker.kill()
    scene.wait_until_lost()
    (scene.broker.log_file.parent / "mosquitto.db").unlink(missing_ok=True)
    scene.read()
    scene.broker.start()


def the_line_goes_dead(scene: Scene) -> None:
    scene.doorman.freeze()
    scene.read()
    scene.wait_until_lost()


def the_line_is_cut(scene: Scene) -> None:
    scene.doorman.cut()
    scene.read()


def the_broker_is_slow(scene: Scene) -> None:
    scene.doorman.pause_s = 0.2
    for _ in range(50):
        scene.read()
    scene.doorman.cut()
    scene.read()


def the_broker_has_another_password_for_a_while(scene: Scene) -> None:
    scene.set_password("another")
    scene.doorman.cut()
    wait_until(lambda: "mqtt.password" in (scene.house.health.stages()["mqtt"].reason or ""))
    scene.read()
    scene.set_password(PASSWORD)


def another_client_takes_the_id(scene: Scene) -> None:
    connected: list[object] = []
    other = paho.Client(
        CallbackAPIVersion.VERSION2, client_id=f"cw-{scene.house.journal.installation}"
    )
    other.on_connect = lambda *_: connected.append(1)
    other.username_pw_set(USER, PASSWORD)
    other.connect(scene.broker.host, scene.broker.port)
    other.loop_start()
    wait_until(lambda: connected)
    other.disconnect()
    other.loop_stop()
    scene.read()


def the_bridge_stops(scene: Scene) -> None:
    scene.house.stop()
    scene.observer.wait_for(STATE, "offline")
    scene.read()
    scene.house.start()


def the_bridge_loses_its_journal(scene: Scene) -> None:
    """The database gives back the installation, and a total of some time ago."""
    installation = scene.house.journal.installation
    scene.house.lose_journal()
    scene.house.journal.take_installation(installation)
    scene.house.journal.commit([state(501, kwh=1.0)])
    scene.house.start_and_wait()
    wait_until(lambda: scene.house.journal.states()["main"].energy.total_kwh > 12.99)
    scene.read()


def the_bridge_has_a_wrong_password_for_a_while(scene: Scene) -> None:
    scene.house.stop()
    scene.house.start(password="wrong")
    assert "mqtt.password" in scene.house.reason()
    scene.house.stop()
    scene.read()
    scene.house.start()


def home_assistant_starts(scene: Scene) -> None:
    scene.observer.publish(BIRTH, "offline")
    scene.observer.publish(BIRTH, "online")


def home_assistant_starts_while_the_line_is_dead(scene: Scene) -> None:
    scene.doorman.freeze()
    scene.observer.publish(BIRTH, "online")
    scene.read()
    scene.wait_until_lost()


def home_assistant_starts_on_a_broker_that_forgot(scene: Scene) -> None:
    the_broker_forgets_everything(scene)
    with closing(Observer(scene.broker)) as home_assistant:
        home_assistant.publish(BIRTH, "online")


def home_assistant_starts_while_the_broker_is_slow(scene: Scene) -> None:
    scene.doorman.pause_s = 0.1
    scene.observer.publish(BIRTH, "online")
    scene.read()


FAULTS = (
    the_broker_stops,
    the_broker_is_killed_and_keeps_old_values,
    the_broker_forgets_everything,
    the_line_goes_dead,
    the_line_is_cut,
    the_broker_is_slow,
    the_broker_has_another_password_for_a_while,
    another_client_takes_the_id,
    the_bridge_stops,
    the_bridge_loses_its_journal,
    the_bridge_has_a_wrong_password_for_a_while,
    home_assistant_starts,
    home_assistant_starts_while_the_line_is_dead,
    home_assistant_starts_on_a_broker_that_forgot,
    home_assistant_starts_while_the_broker_is_slow,
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_after_a_fault_everything_is_right_again(
    scene: Scene, fault: Callable[[Scene], None]
) -> None:
    fault(scene)

    wait_until(scene.is_right)
    totals = [float(text) for text in scene.observer.payloads("citizenwatt/main/energy")]
    assert totals == sorted(totals)
