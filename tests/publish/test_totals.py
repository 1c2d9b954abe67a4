"""Whose the totals are that the broker keeps, and what two bridges make of one base topic."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cw_mqtt.model import JOULES_PER_KWH, Energy, SensorState
from cw_mqtt.publish.topics import Topics
from cw_mqtt.publish.totals import Retained, installation_in
from tests.mosquitto import Broker
from tests.publish.house import House, state
from tests.publish.observer import Observer
from tests.settings import NIGHT_CONTRACT, SENSOR
from tests.waiting import wait_until

ENERGY, STATE = "citizenwatt/main/energy", "citizenwatt/main/state"
BRIDGE_STATE, INFO = "citizenwatt/bridge/state", "citizenwatt/bridge/info"
TOTALS = "citizenwatt/bridge/totals"
OURS = json.dumps({"installation": "1a2b", "sensors": {"main": "f00d"}})
SENSOR_OF_OURS = SensorState("main", identity="f00d")

# what goes wrong is told in the log; the tests look at what comes of it
pytestmark = pytest.mark.usefixtures("caplog")


def total(payloads: dict[str, str], installation: str = "1a2b") -> Energy | None:
    return Retained(Topics("citizenwatt"), payloads).total(installation, SENSOR_OF_OURS)


@pytest.mark.parametrize("payload", ["nan", "inf", "-1", "12,5", "unknown", "", "1e999"])
def test_a_retained_total_that_makes_no_sense_is_none(payload: str) -> None:
    assert total({TOTALS: OURS, ENERGY: payload}) == Energy()


@pytest.mark.parametrize(
    "owner",
    [
        "",
        "[]",
        "no JSON",
        '{"installation": "1a2b"}',
        '{"installation": "1a2b", "sensors": []}',
        '{"installation": "1a2b", "sensors": {"main": "beef"}}',
        '{"installation": "1a2b", "sensors": {"hall": "f00d"}}',
        '{"installation": "3c4d", "sensors": {"main": "f00d"}}',
        '{"installation": ["1a2b"], "sensors": {"main": "f00d"}}',
    ],
)
def test_a_total_that_is_not_known_to_be_ours_is_not_taken(owner: str) -> None:
    assert total({TOTALS: owner, ENERGY: "12.5"}) is None


def test_a_total_comes_back_as_it_was_published_and_creeps_by_no_rounding() -> None:
    values = {"energy": 13.613, "energy_day": 3.0, "energy_night": 7.25, "cost": 1.2345}

    found = total({TOTALS: OURS, ENERGY: "13.612", STATE: json.dumps(values)})

    assert found
    assert round(found.total_kwh, 3) == 13.613
    assert found.total_kwh < 13.613
    assert round(found.tariffs_j["day"] / JOULES_PER_KWH, 3) == 3
    assert round(found.tariffs_j["night"] / JOULES_PER_KWH, 3) == 7.25
    assert round(found.cost, 4) == 1.2345


def in_kwh(**tariffs: float) -> dict[str, float]:
    return {name: kwh * JOULES_PER_KWH for name, kwh in tariffs.items()}


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_an_old_copy_of_the_folder_goes_on_from_what_was_published(
    house: House, observer: Observer, protocol: str
) -> None:
    house.providers = [NIGHT_CONTRACT]
    sums = {"tariffs_j": in_kwh(day=9, night=4), "cost": 2.5}
    house.journal.commit([state(kwh=13.613, **sums)])
    house.start_and_wait(protocol=protocol)
    observer.wait_for(ENERGY, "13.613")
    house.stop()

    older = {"tariffs_j": in_kwh(day=5, night=1), "cost": 1.0}
    house.journal.commit([state(kwh=6.786, **older)])
    house.start_and_wait(protocol=protocol)

    observer.wait_for(BRIDGE_STATE, "online")
    assert set(observer.payloads(ENERGY)) == {"13.613"}
    told = json.loads(observer.payloads(STATE)[-1])
    assert (told["energy"], told["energy_day"], told["energy_night"]) == (13.613, 9, 4)
    assert told["cost"] == 2.5


def test_totals_of_another_installation_are_replaced(house: House, observer: Observer) -> None:
    house.journal.commit([state(kwh=13.613)])
    house.start_and_wait()
    house.lose_journal()
    house.journal.commit([state(kwh=3)])

    house.start_and_wait()

    observer.wait_for(BRIDGE_STATE, "online")
    observer.wait_for(ENERGY, "3.000")
    assert installation_in(observer.last(TOTALS) or "") == house.journal.installation


def test_totals_of_nobody_are_replaced(house: House, observer: Observer) -> None:
    observer.publish(ENERGY, "999", retain=True)
    house.journal.commit([state(kwh=3)])

    house.start_and_wait()

    observer.wait_for(ENERGY, "3.000")


def test_a_total_of_another_sensor_under_the_same_slug_is_replaced(
    house: House, observer: Observer
) -> None:
    house.journal.commit([state(kwh=13.613)])
    house.start_and_wait()
    house.stop()
    house.journal.commit([replace(state(kwh=3), identity="another")])

    house.start_and_wait()

    observer.wait_for(ENERGY, "3.000")


def test_a_lost_journal_that_learns_its_name_late_goes_on_from_what_was_published(
    house: House, observer: Observer
) -> None:
    house.journal.commit([state(kwh=13.613)])
    house.start_and_wait()
    installation = house.journal.installation
    house.lose_journal()
    house.start_and_wait()  # the database is unavailable
    house.stop()
    house.start_and_wait()  # and the bridge was restarted meanwhile

    house.journal.take_installation(installation)
    house.journal.commit([state(kwh=12)])

    observer.wait_for(TOTALS, observer.payloads(TOTALS)[0])
    wait_until(lambda: house.journal.states()["main"].energy.total_kwh > 13.6)
    wait_until(lambda: len(observer.payloads(ENERGY)) > 1)
    assert set(observer.payloads(ENERGY)) == {"13.613"}


@pytest.fixture
def neighbour(broker: Broker, tmp_path: Path) -> Iterator[House]:
    """Another bridge under the same base topic."""
    neighbour = House(tmp_path / "neighbour", {"host": broker.host, "port": broker.port})
    neighbour.journal.commit([state(kwh=700)])
    yield neighbour
    neighbour.close()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_another_bridge_on_the_base_topic_is_named_and_left_alone(
    house: House, neighbour: House, observer: Observer, protocol: str
) -> None:
    house.journal.commit([state(kwh=12.5)])
    house.start_and_wait(protocol=protocol)
    observer.wait_for(BRIDGE_STATE, "online")
    seen = len(observer.seen)

    neighbour.start(protocol=protocol)

    reason = neighbour.reason()
    assert f"installation {house.journal.installation}" in reason
    assert "mqtt.base_topic" in reason
    neighbour.stop()
    assert not [each for each in observer.seen[seen:] if each.topic != "citizenwatt/bridge/health"]
    assert not neighbour.journal.retained_topics()


def test_when_the_other_bridge_is_gone_for_a_while_this_one_goes_on(
    house: House, neighbour: House, observer: Observer
) -> None:
    house.journal.commit([state(kwh=12.5)])
    house.start_and_wait()
    neighbour.gone_after_s = 1.0
    neighbour.start()
    neighbour.reason()

    house.stop()

    neighbour.wait_until_works()
    observer.wait_for(ENERGY, "700.000")
    assert installation_in(observer.last(INFO) or "") == neighbour.journal.installation


def test_an_installation_that_is_offline_holds_nobody_up(
    house: House, neighbour: House, observer: Observer
) -> None:
    house.start_and_wait()
    house.stop()
    observer.wait_for(BRIDGE_STATE, "offline")

    neighbour.start_and_wait()

    observer.wait_for(ENERGY, "700.000")


def test_an_installation_that_died_with_the_broker_holds_nobody_up_for_ever(
    neighbour: House, observer: Observer
) -> None:
    observer.publish(INFO, '{"installation": "dead"}', retain=True)
    observer.publish(BRIDGE_STATE, "online", retain=True)
    neighbour.gone_after_s = 1.0

    neighbour.start()

    assert "installation dead" in neighbour.reason()
    neighbour.wait_until_works()
    observer.wait_for(ENERGY, "700.000")


@pytest.mark.parametrize("other", ["00000000", "ffffffff"])
def test_of_two_bridges_that_come_at_once_one_makes_way(
    house: House, observer: Observer, other: str
) -> None:
    house.start_and_wait()
    observer.wait_for(BRIDGE_STATE, "online")
    made_way = other < house.journal.installation

    observer.publish(INFO, json.dumps({"installation": other}), retain=True)

    if made_way:
        wait_until(lambda: house.health.stages()["mqtt"].state == "waiting")
        assert f"installation {other}" in house.reason()
        assert observer.last(BRIDGE_STATE) == "online"  # the other's: no will was sent
    else:
        wait_until(lambda: installation_in(observer.last(INFO) or "") == house.journal.installation)


def test_a_base_topic_that_another_bridge_has_taken_over_is_not_cleared(
    house: House, neighbour: House, observer: Observer
) -> None:
    house.journal.commit([state(kwh=12.5)])
    house.start_and_wait()
    house.stop()
    neighbour.start_and_wait()
    observer.wait_for(ENERGY, "700.000")

    house.start_and_wait(base_topic="attic")

    observer.wait_for("attic/main/energy", "12.500")
    assert observer.last(ENERGY) == "700.000"
    assert not [topic for topic in house.journal.retained_topics() if "citizenwatt/" in topic]


def test_a_sensor_that_is_added_to_ours_takes_over_nothing_of_before(
    house: House, observer: Observer
) -> None:
    observer.publish("citizenwatt/attic/energy", "999", retain=True)
    house.journal.commit([state(kwh=12.5)])
    house.start_and_wait()
    house.stop()
    attic: dict[str, Any] = {**SENSOR, "slug": "attic", "name": "Attic"}
    house.sensors = [SENSOR, attic]
    house.journal.commit([SensorState("attic", energy=Energy(loaded=True), identity="a2")])

    house.start_and_wait()

    observer.wait_for("citizenwatt/attic/energy", "0.000")
    both = {"main": "a1", "attic": "a2"}
    wait_until(lambda: json.loads(observer.last(TOTALS) or "")["sensors"] == both)
