"""A publisher at work: a real journal, a real stage, a real broker, and somebody who listens."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cw_mqtt.publish import publisher as service
from cw_mqtt.publish import retained as kept
from cw_mqtt.runtime import stages
from tests.mosquitto import Broker
from tests.publish.doorman import Doorman
from tests.publish.house import House
from tests.publish.observer import Observer


@pytest.fixture(autouse=True)
def less_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What works again is believed sooner; Mosquitto tells what it keeps right after the SUBACK."""
    monkeypatch.setattr(stages, "BELIEVED_AFTER_S", 0.05)
    monkeypatch.setattr(kept, "KEPT_WITHIN_S", 0.3)
    monkeypatch.setattr(service, "TICK_S", 0.1)


@pytest.fixture
def observer(broker: Broker) -> Iterator[Observer]:
    observer = Observer(broker)
    yield observer
    observer.close()


@pytest.fixture
def doorman(broker: Broker) -> Iterator[Doorman]:
    doorman = Doorman(broker)
    yield doorman
    doorman.close()


@pytest.fixture
def house(broker: Broker, doorman: Doorman, tmp_path: Path) -> Iterator[House]:
    """Takes the doorman so that it leaves before him."""
    house = House(tmp_path / "data", {"host": broker.host, "port": broker.port})
    yield house
    house.close()


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    """Starts one Mosquitto with settings of its own."""
    made: list[Broker] = []

    def make(*settings: str) -> Broker:
        folder = tmp_path / f"own{len(made) or ''}"
        folder.mkdir()
        made.append(Broker(folder, settings))
        made[-1].start()
        return made[-1]

    yield make
    for each in made:
        each.stop()
