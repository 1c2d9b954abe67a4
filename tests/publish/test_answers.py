import json
import subprocess

from cw_mqtt.model import Event
from tests.missing import MOSQUITTO_CLIENTS, needed
from tests.mosquitto import Broker
from tests.publish.house import NOW_TS, House, state
from tests.publish.observer import Observer
from tests.waiting import DEADLINE_S, wait_until

ENERGY = "citizenwatt/main/energy"
BRIDGE_STATE = "citizenwatt/bridge/state"
BIRTH = "homeassistant/status"


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
    house.journal.wake()
    wait_until(lambda: observer.payloads("citizenwatt/bridge/event"))

    assert observer.payloads(BRIDGE_STATE) == ["online"]


def test_a_request_is_answered(house: House, observer: Observer) -> None:
    house.start_and_wait()

    observer.publish("citizenwatt/bridge/request/health_check", '{"transaction": 7}')

    wait_until(lambda: observer.last("citizenwatt/bridge/response/health_check"))
    answer = json.loads(observer.last("citizenwatt/bridge/response/health_check") or "")
    assert (answer["status"], answer["transaction"]) == ("ok", 7)
    assert answer["data"]["stages"]["mqtt"]["state"] == "working"


def test_with_mqtt_5_a_request_says_where_the_answer_goes(house: House, broker: Broker) -> None:
    house.start_and_wait()
    program = needed("mosquitto_rr", MOSQUITTO_CLIENTS)
    asked = [program, "-h", broker.host, "-p", str(broker.port), "-V", "5", "-W", str(DEADLINE_S)]
    asked += ["-t", "citizenwatt/bridge/request/health_check", "-e", "me/answers", "-m", "{}"]

    answer = subprocess.run(asked, capture_output=True, check=True).stdout

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
