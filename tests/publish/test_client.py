import json
from typing import Any

import pytest

from cw_mqtt.publish import client
from cw_mqtt.publish.publisher import MqttPublisher
from tests.mosquitto import Broker
from tests.program import free_port
from tests.publish.doorman import Doorman
from tests.publish.house import House, state
from tests.publish.observer import Observer
from tests.waiting import wait_until

ENERGY = "citizenwatt/main/energy"
BRIDGE_STATE = "citizenwatt/bridge/state"

# The log says once that something went wrong; the test looks at what comes of it.
warned = pytest.mark.usefixtures("caplog")


def at(doorman: Doorman, **mqtt: Any) -> dict[str, Any]:
    """MQTT settings that lead through the doorman."""
    return {"host": doorman.host, "port": doorman.port, **mqtt}


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
    first = {seen.topic: seen.retained for seen in reversed(late.seen)}
    assert (first[ENERGY], first[BRIDGE_STATE]) == (True, True)
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
    monkeypatch.setattr(client, "BROKER_WITHIN_S", 0.2)
    house.start_and_wait(**at(doorman))

    doorman.holding = True
    house.journal.commit([state()])

    assert "acknowledge" in house.reason()


def test_a_stop_in_order_sends_no_will(house: House, observer: Observer) -> None:
    house.start_and_wait(protocol="3.1.1")

    house.stop()

    observer.publish("later", "than a will would be")
    observer.wait_for("later", "than a will would be")
    assert observer.payloads(BRIDGE_STATE) == ["online", "offline"]


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
