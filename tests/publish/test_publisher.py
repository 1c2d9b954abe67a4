import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cw_mqtt.model import Event, SensorState
from tests.mosquitto import Broker
from tests.publish.house import NOW_TS, House, state
from tests.publish.observer import Observer
from tests.settings import SENSOR
from tests.waiting import wait_until

EVENTS = "citizenwatt/bridge/event"

ENERGY = "citizenwatt/main/energy"
BRIDGE_STATE = "citizenwatt/bridge/state"

# The log says once that something went wrong; the test looks at what comes of it.
warned = pytest.mark.usefixtures("caplog")


def test_on_connecting_all_is_told_in_order(house: House, observer: Observer) -> None:
    house.journal.commit([state()])
    node = house.journal.installation

    house.start_and_wait()

    observer.wait_for(BRIDGE_STATE, "online")
    assert [seen.topic for seen in observer.seen] == [
        f"homeassistant/device/{node}_bridge/config",
        f"homeassistant/device/{node}_main/config",
        "citizenwatt/bridge/info",
        ENERGY,
        "citizenwatt/main/state",
        "citizenwatt/main/power",
        "citizenwatt/main/availability",
        "citizenwatt/bridge/totals",
        "citizenwatt/bridge/health",
        BRIDGE_STATE,
    ]


def test_a_committed_reading_is_published(house: House, observer: Observer) -> None:
    house.journal.commit([state()])
    house.start_and_wait()

    house.journal.commit([state(600, kwh=12.6, ts=NOW_TS + 8)])

    observer.wait_for("citizenwatt/main/power", "600")
    observer.wait_for(ENERGY, "12.600")


def test_no_energy_is_published_before_the_total_is_loaded(
    house: House, observer: Observer
) -> None:
    house.journal.commit([state(kwh=0, loaded=False)])
    house.start_and_wait()
    observer.wait_for("citizenwatt/main/power", "512")

    house.journal.commit([state(kwh=12.5)])

    observer.wait_for(ENERGY, "12.500")
    assert observer.payloads(ENERGY) == ["12.500"]


def test_a_journal_that_learns_its_installation_goes_by_that_name(
    house: House, observer: Observer
) -> None:
    house.start_and_wait()
    temporary = f"homeassistant/device/{house.journal.installation}_main/config"
    observer.wait_for(BRIDGE_STATE, "online")

    house.journal.take_installation("1a2b")
    house.journal.wake()

    wait_until(lambda: observer.last("homeassistant/device/1a2b_main/config"))
    observer.wait_for(temporary, "")
    observer.wait_for(BRIDGE_STATE, "online")


def test_a_new_journal_has_a_moment_to_learn_its_installation(
    house: House, observer: Observer
) -> None:
    house.totals_within_s = 10
    house.start()

    house.journal.take_installation("1a2b")
    house.journal.commit([state()])

    observer.wait_for(BRIDGE_STATE, "online")
    discovered = {seen.topic for seen in observer.seen if "/device/" in seen.topic}
    assert discovered == {f"homeassistant/device/1a2b_{name}/config" for name in ("bridge", "main")}


def test_a_renamed_sensor_leaves_nothing_behind(house: House, broker: Broker) -> None:
    house.journal.commit([state()])
    house.start_and_wait()
    house.stop()
    house.sensors = [{**SENSOR, "slug": "kitchen"}]

    house.start_and_wait()

    late = Observer(broker)
    late.wait_for(BRIDGE_STATE, "online")
    assert not [seen.topic for seen in late.seen if "main" in seen.topic]
    assert not [topic for topic in house.journal.retained_topics() if "main" in topic]
    late.close()


def test_of_a_removed_sensor_the_entities_go_before_their_values(
    house: House, observer: Observer
) -> None:
    house.journal.commit([state()])
    house.start_and_wait()
    house.stop()
    observer.wait_for(BRIDGE_STATE, "offline")
    observer.seen.clear()

    house.sensors = [{**SENSOR, "slug": "flat"}]
    house.start_and_wait()

    observer.wait_for(BRIDGE_STATE, "online")
    emptied = [seen.topic for seen in observer.seen if "main/" in seen.topic and not seen.payload]
    assert emptied[0] == f"homeassistant/device/{house.journal.installation}_main/config"
    assert "citizenwatt/main/state" in emptied


def test_another_style_of_discovery_keeps_the_entities(house: House, observer: Observer) -> None:
    house.start_and_wait(discovery={"style": "entity"})
    house.stop()
    observer.wait_for(BRIDGE_STATE, "offline")
    node = house.journal.installation
    old = f"homeassistant/sensor/{node}_main/power/config"
    new = f"homeassistant/device/{node}_main/config"
    observer.seen.clear()

    house.start_and_wait(discovery={"style": "device"})

    observer.wait_for(BRIDGE_STATE, "online")
    steps = [(seen.topic, seen.payload) for seen in observer.seen if seen.topic in (old, new)]
    assert [topic for topic, _ in steps] == [old, new, old]
    assert steps[0][1] == '{"migrate_discovery":true}'
    assert steps[2][1] == ""


def test_a_silent_sensor_goes_offline_and_its_power_is_removed(
    house: House, observer: Observer
) -> None:
    house.journal.commit([state()])
    house.start_and_wait()

    house.now_ts += 60
    house.journal.wake()

    observer.wait_for("citizenwatt/main/availability", "offline")
    assert observer.last("citizenwatt/main/power") == ""


def test_a_restart_declares_no_dead_sensor_alive(house: House, observer: Observer) -> None:
    house.journal.commit([state(ts=NOW_TS - 3600)])

    house.start_and_wait()

    observer.wait_for(BRIDGE_STATE, "online")
    assert observer.payloads("citizenwatt/main/availability") == ["offline"]
    assert observer.payloads("citizenwatt/main/power") == [""]


def test_a_sensor_never_heard_is_offline_without_a_state(house: House, observer: Observer) -> None:
    house.journal.commit([SensorState("main")])

    house.start_and_wait()

    observer.wait_for(BRIDGE_STATE, "online")
    assert observer.payloads("citizenwatt/main/availability") == ["offline"]
    assert observer.payloads("citizenwatt/main/state") == []


def test_events_are_published_once(house: House, observer: Observer) -> None:
    house.start_and_wait()

    house.events.append(Event("sensor_rebooted", NOW_TS, "main"))
    house.journal.wake()

    wait_until(lambda: observer.payloads("citizenwatt/bridge/event"))
    assert not house.events


def test_stopping_tells_the_last_reading_and_then_offline(house: House, observer: Observer) -> None:
    house.start_and_wait()
    house.journal.commit([state(700)])

    house.stop()

    wait_until(lambda: observer.last(BRIDGE_STATE) == "offline")
    assert observer.last("citizenwatt/main/power") == "700"


def test_every_retained_topic_is_in_the_ledger(house: House, broker: Broker) -> None:
    house.journal.commit([state()])
    house.start_and_wait()

    late = Observer(broker)
    late.wait_for(BRIDGE_STATE, "online")

    assert {seen.topic for seen in late.seen} <= house.journal.retained_topics()
    late.close()


def test_what_happened_just_before_the_end_is_told(house: House, observer: Observer) -> None:
    house.start_and_wait()

    house.events.append(Event("config_reloaded", NOW_TS))
    house.stop()

    wait_until(lambda: observer.payloads("citizenwatt/bridge/event"))


def test_a_receiver_that_is_lost_is_an_event(house: House, observer: Observer) -> None:
    house.start_and_wait()
    house.health.working("receiver hall")
    for told in (1, 2):  # when the second is told, stages were looked at after the first
        house.events.append(Event("config_reloaded", NOW_TS))
        house.journal.wake()
        wait_until(lambda told=told: len(observer.payloads(EVENTS)) == told)

    house.health.waiting("receiver hall", "no such port")

    wait_until(lambda: len(observer.payloads(EVENTS)) == 3)
    event = json.loads(observer.payloads(EVENTS)[-1])
    assert (event["type"], event["text"]) == ("receiver_lost", "receiver hall: no such port")


@warned
def test_a_ghost_that_may_not_be_cleared_is_remembered(
    house: House, make_broker: Callable[..., Broker], tmp_path: Path
) -> None:
    rules = tmp_path / "rules"
    rules.write_text("topic readwrite #\ntopic deny citizenwatt/old/energy\n")
    broker = make_broker("allow_anonymous true", f"acl_file {rules}")
    house.journal.note_retained(["citizenwatt/old/energy", "citizenwatt/old/power"])

    house.start_and_wait(port=broker.port, protocol="5")

    ledger = house.journal.retained_topics()
    assert "citizenwatt/old/energy" in ledger
    assert "citizenwatt/old/power" not in ledger
    house.stop()
