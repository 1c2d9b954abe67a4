import json
import subprocess
from typing import Any

import pytest

from cw_mqtt.model import Event, SensorState
from cw_mqtt.publish import client
from cw_mqtt.publish.service import MqttPublisher
from tests.mosquitto import Broker
from tests.program import free_port
from tests.publish.doorman import Doorman
from tests.publish.house import NOW_TS, House, state
from tests.publish.observer import Observer
from tests.settings import SENSOR
from tests.waiting import wait_until

ENERGY = "citizenwatt/main/energy"
BRIDGE_STATE = "citizenwatt/bridge/state"
BIRTH = "homeassistant/status"

# The log says once that something went wrong; the test looks at what comes of it.
warned = pytest.mark.usefixtures("caplog")


def at(doorman: Doorman, **mqtt: Any) -> dict[str, Any]:
    """MQTT settings that lead through the doorman."""
    return {"host": doorman.host, "port": doorman.port, **mqtt}


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
        "citizenwatt/bridge/health",
        BRIDGE_STATE,
    ]


def test_a_committed_reading_is_published(house: House, observer: Observer) -> None:
    house.journal.commit([state()])
    house.start_and_wait()

    house.journal.commit([state(600, kwh=12.6, ts=NOW_TS + 8)])

    observer.wait_for("citizenwatt/main/power", "600")
    observer.wait_for(ENERGY, "12.600")


@warned
def test_after_a_power_cut_at_the_broker_all_is_there_again(house: House, broker: Broker) -> None:
    house.journal.commit([state()])
    house.start_and_wait()

    broker.kill()
    wait_until(lambda: house.health.stages()["mqtt"].state == "waiting")
    broker.start()
    house.wait_until_works()

    late = Observer(broker)
    late.wait_for(ENERGY, "12.500")
    late.wait_for(BRIDGE_STATE, "online")
    assert all(seen.retained for seen in late.seen)
    late.close()


@warned
def test_a_broker_that_is_away_at_the_start_is_waited_for(house: House, broker: Broker) -> None:
    broker.stop()

    house.start()

    assert "connection refused" in house.reason()
    broker.start()
    house.wait_until_works()


@warned
def test_a_crash_leaves_the_bridge_offline(
    house: House, doorman: Doorman, observer: Observer
) -> None:
    house.start_and_wait(**at(doorman, protocol="3.1.1"))

    doorman.close()

    observer.wait_for(BRIDGE_STATE, "offline")


@warned
def test_with_mqtt_5_a_short_break_is_not_shown(
    house: House, doorman: Doorman, observer: Observer
) -> None:
    house.start_and_wait(**at(doorman, protocol="5"))

    doorman.cut()
    wait_until(lambda: observer.payloads(BRIDGE_STATE).count("online") == 2)

    assert "offline" not in observer.payloads(BRIDGE_STATE)


@pytest.mark.parametrize("answer", [None, b"", b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00"])
def test_a_broker_that_refuses_mqtt_5_gets_3_1_1(
    house: House,
    doorman: Doorman,
    observer: Observer,
    monkeypatch: pytest.MonkeyPatch,
    answer: bytes | None,
) -> None:
    monkeypatch.setattr(client, "CONNACK_WITHIN_S", 0.2)
    doorman.answers = {5: answer}

    house.start_and_wait(**at(doorman))

    observer.wait_for(BRIDGE_STATE, "online")
    assert json.loads(observer.last("citizenwatt/bridge/info") or "")["mqtt"] == "3.1.1"


@pytest.mark.parametrize(
    ("protocol", "answers"),
    [("3.1.1", {4: b"\x20\x02\x00\x04"}), ("auto", {5: b"\x20\x03\x00\x86\x00"})],
)
def test_a_refused_password_is_said_but_never_shown(
    house: House, doorman: Doorman, caplog: pytest.LogCaptureFixture, protocol: str, answers: Any
) -> None:
    doorman.answers = answers

    house.start(**at(doorman, protocol=protocol, username="cw", password="s3cret"))

    assert "refuses the username or the password" in house.reason()
    assert "s3cret" not in caplog.text


@warned
@pytest.mark.parametrize(
    ("host", "words"), [("127.0.0.1", "connection refused"), ("nowhere.invalid", "unknown")]
)
def test_a_broker_out_of_reach_is_named_with_the_reason(
    house: House, host: str, words: str
) -> None:
    port = free_port()

    house.start(host=host, port=port)

    reason = house.reason()
    assert f"{host}:{port}" in reason
    assert words in reason


@warned
def test_a_broker_that_expects_no_tls_is_told_apart(house: House) -> None:
    house.start(tls={"verify": False})

    assert "mqtt.tls" in house.reason()


@warned
def test_a_broker_that_stops_answering_counts_as_gone(
    house: House, doorman: Doorman, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_WITHIN_S", 0.2)
    house.start_and_wait(**at(doorman))

    doorman.holding = True
    house.journal.commit([state()])

    assert "acknowledge" in house.reason()


def test_no_energy_is_published_before_the_total_is_loaded(
    house: House, observer: Observer
) -> None:
    house.journal.commit([state(kwh=0, loaded=False, published=False)])
    house.start_and_wait()
    observer.wait_for("citizenwatt/main/power", "512")

    house.journal.commit([state(kwh=12.5, published=False)])

    observer.wait_for(ENERGY, "12.500")
    assert observer.payloads(ENERGY) == ["12.500"]


def test_after_a_lost_journal_the_higher_total_of_the_broker_goes_on(
    house: House, observer: Observer
) -> None:
    house.journal.commit([state(kwh=12.5)])
    house.start_and_wait()
    house.lose_journal()
    house.journal.commit([state(kwh=3, published=False)])

    house.start_and_wait()

    observer.wait_for(BRIDGE_STATE, "online")
    assert set(observer.payloads(ENERGY)) == {"12.500"}
    assert house.journal.states()["main"].energy.total_kwh == pytest.approx(12.5)


def test_a_journal_that_learns_its_installation_goes_by_that_name(
    house: House, observer: Observer
) -> None:
    house.start_and_wait()
    temporary = f"homeassistant/device/{house.journal.installation}_main/config"
    observer.wait_for(BRIDGE_STATE, "online")

    house.journal.take_installation("1a2b")
    house.journal.ring()

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


@warned
@pytest.mark.parametrize("nonsense", ["nan", "inf", "-1", "12,5", "unknown"])
def test_a_retained_total_that_makes_no_sense_is_ignored(
    house: House, observer: Observer, nonsense: str
) -> None:
    observer.publish(ENERGY, nonsense, retain=True)
    house.journal.commit([state(kwh=3, published=False)])

    house.start_and_wait()

    observer.wait_for(BRIDGE_STATE, "online")
    assert observer.last(ENERGY) == "3.000"


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


def test_when_home_assistant_starts_all_is_told_again(house: House, observer: Observer) -> None:
    house.journal.commit([state()])
    house.start_and_wait()
    config = f"homeassistant/device/{house.journal.installation}_main/config"

    observer.publish(BIRTH, "online")

    wait_until(lambda: len(observer.payloads(BRIDGE_STATE)) == 2)
    assert len(observer.payloads(config)) == len(observer.payloads(ENERGY)) == 2


def test_a_retained_birth_is_old_news(house: House, observer: Observer) -> None:
    observer.publish(BIRTH, "online", retain=True)
    house.start_and_wait()

    house.events.append(Event("marker", NOW_TS))
    house.journal.ring()
    wait_until(lambda: observer.payloads("citizenwatt/bridge/event"))

    assert observer.payloads(BRIDGE_STATE) == ["online"]


def test_a_silent_sensor_goes_offline_and_its_power_is_removed(
    house: House, observer: Observer
) -> None:
    house.journal.commit([state()])
    house.start_and_wait()

    house.now_ts += 60
    house.journal.ring()

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
    house.journal.ring()

    wait_until(lambda: observer.payloads("citizenwatt/bridge/event"))
    assert not house.events


def test_stopping_tells_the_last_reading_and_then_offline(house: House, observer: Observer) -> None:
    house.start_and_wait()
    house.journal.commit([state(700)])

    house.stop()

    wait_until(lambda: observer.last(BRIDGE_STATE) == "offline")
    assert observer.last("citizenwatt/main/power") == "700"


def test_a_stop_in_order_sends_no_will(house: House, observer: Observer) -> None:
    house.start_and_wait(protocol="3.1.1")

    house.stop()

    observer.publish("later", "than a will would be")
    observer.wait_for("later", "than a will would be")
    assert observer.payloads(BRIDGE_STATE) == ["online", "offline"]


def test_every_retained_topic_is_in_the_ledger(house: House, broker: Broker) -> None:
    house.journal.commit([state()])
    house.start_and_wait()

    late = Observer(broker)
    late.wait_for(BRIDGE_STATE, "online")

    assert {seen.topic for seen in late.seen} <= house.journal.retained_topics()
    late.close()


def test_health_shows_the_connection(house: House) -> None:
    house.start_and_wait()

    figures = house.health.report()["mqtt"]

    assert figures["protocol"] == "5"
    assert figures["published"] > 0
    assert figures["waiting"] == 0


@warned
def test_certificates_that_cannot_be_used_are_named(house: House) -> None:
    broken = house.folder / "ca.pem"
    broken.write_text("no certificate")

    house.start(tls={"ca": str(broken)})

    assert "mqtt.tls" in house.reason()


def test_a_request_is_answered(house: House, observer: Observer) -> None:
    house.start_and_wait()

    observer.publish("citizenwatt/bridge/request/health_check", '{"transaction": 7}')

    wait_until(lambda: observer.last("citizenwatt/bridge/response/health_check"))
    answer = json.loads(observer.last("citizenwatt/bridge/response/health_check") or "")
    assert (answer["status"], answer["transaction"]) == ("ok", 7)
    assert answer["data"]["stages"]["mqtt"]["state"] == "working"


def test_with_mqtt_5_a_request_says_where_the_answer_goes(house: House, broker: Broker) -> None:
    house.start_and_wait()
    asked = ["mosquitto_rr", "-h", broker.host, "-p", str(broker.port), "-V", "5", "-W", "10"]
    asked += ["-t", "citizenwatt/bridge/request/health_check", "-e", "me/answers", "-m", "{}"]

    answer = subprocess.run(asked, capture_output=True, check=True, timeout=20).stdout

    assert json.loads(answer)["status"] == "ok"


def test_a_restart_is_answered_and_then_done(house: House, observer: Observer) -> None:
    house.start_and_wait(allow_requests=["restart"])

    observer.publish("citizenwatt/bridge/request/restart", "{}")

    wait_until(lambda: house.done == ["restart"])
    wait_until(lambda: observer.last("citizenwatt/bridge/response/restart") == '{"status":"ok"}')


def test_nothing_is_changed_by_a_request_that_is_not_allowed(
    house: House, observer: Observer
) -> None:
    house.start_and_wait()

    observer.publish("citizenwatt/bridge/request/restart", "{}")

    wait_until(lambda: observer.last("citizenwatt/bridge/response/restart"))
    assert '"status":"error"' in (observer.last("citizenwatt/bridge/response/restart") or "")
    assert not house.done


def test_discovery_is_published_again_when_asked_for(house: House, observer: Observer) -> None:
    house.start_and_wait(allow_requests=["discovery/republish"])
    config = f"homeassistant/device/{house.journal.installation}_main/config"

    observer.publish("citizenwatt/bridge/request/discovery/republish", "")

    wait_until(lambda: len(observer.payloads(config)) == 2)


def test_a_receiver_that_is_lost_is_an_event(house: House, observer: Observer) -> None:
    house.start_and_wait()
    house.health.working("receiver hall")
    house.journal.ring()
    observer.publish("citizenwatt/bridge/request/health_check", "")
    wait_until(lambda: observer.last("citizenwatt/bridge/response/health_check"))

    house.health.waiting("receiver hall", "no such port")

    wait_until(lambda: observer.payloads("citizenwatt/bridge/event"))
    event = json.loads(observer.payloads("citizenwatt/bridge/event")[0])
    assert (event["type"], event["text"]) == ("receiver_lost", "receiver hall: no such port")


@warned
def test_a_client_id_taken_again_and_again_is_named(
    house: House, doorman: Doorman, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MqttPublisher, "longest_pause_s", 0.01)
    house.start(**at(doorman, protocol="3.1.1"))

    wait_until(lambda: cut_and_look(doorman, house))

    assert f"cw-{house.journal.installation}" in house.reason()


def cut_and_look(doorman: Doorman, house: House) -> bool:
    """Cut the line; whether the stage suspects another client by now."""
    doorman.cut()
    stage = house.health.stages().get("mqtt")
    return bool(stage and stage.reason and "another client" in stage.reason)
