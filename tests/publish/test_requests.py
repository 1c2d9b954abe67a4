import json
from typing import Any

import pytest

from cw_mqtt.publish.requests import Received, Requests
from cw_mqtt.publish.topics import Topics

RESTART = "citizenwatt/bridge/request/restart"
HEALTH = "citizenwatt/bridge/request/health_check"


def requests(*allowed: str) -> Requests:
    return Requests(
        Topics("citizenwatt"),
        allowed,
        {"health_check": lambda: {"status": "ok"}},
        {"restart": lambda: None},
        {"citizenwatt/main/energy"},
    )


def said(payload: str, topic: str = HEALTH) -> dict[str, Any]:
    """The answer to a payload, read back from JSON."""
    values: dict[str, Any] = json.loads(requests().answer(Received(topic, payload)).message.payload)
    return values


def test_a_question_is_answered_with_what_was_asked() -> None:
    message = requests().answer(Received(HEALTH, "")).message

    assert message.topic == "citizenwatt/bridge/response/health_check"
    assert json.loads(message.payload) == {"status": "ok", "data": {"status": "ok"}}
    assert (message.qos, message.retain, message.expiry_s) == (1, False, 60)


@pytest.mark.parametrize("transaction", ["a1", 7, 1.5, True])
def test_an_answer_repeats_the_transaction(transaction: Any) -> None:
    assert said(json.dumps({"transaction": transaction}))["transaction"] == transaction


def test_an_action_is_done_when_it_is_allowed() -> None:
    answer = requests("restart").answer(Received(RESTART, "{}"))

    assert json.loads(answer.message.payload) == {"status": "ok"}
    assert answer.afterwards


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Received(RESTART, "{}"), "add restart to mqtt.allow_requests"),
        (Received(HEALTH, "", retained=True), "retained"),
        (Received("citizenwatt/bridge/request/reboot", ""), "known are: health_check, restart"),
        (Received(HEALTH, "PRESS"), "expected a JSON object"),
        (Received(HEALTH, "[" * 100_000), "expected a JSON object"),
        (Received(HEALTH, '{"transaction": {"a": 1}}'), "expected a JSON object"),
    ],
)
def test_what_is_refused_is_told_why_and_does_nothing(request_: Received, words: str) -> None:
    answer = requests().answer(request_)

    values = json.loads(answer.message.payload)
    assert values["status"] == "error"
    assert words in values["error"]
    assert answer.afterwards is None


def test_a_retained_restart_is_refused_or_it_would_never_end() -> None:
    answer = requests("restart").answer(Received(RESTART, "{}", retained=True))

    assert answer.afterwards is None


def test_the_answer_goes_where_mqtt_5_wants_it() -> None:
    asked = Received(HEALTH, "", response_topic="me/answers", correlation=b"\x01")

    message = requests().answer(asked).message

    assert (message.topic, message.correlation) == ("me/answers", b"\x01")


@pytest.mark.parametrize("topic", ["", "me/#", "me/+", "citizenwatt/main/energy"])
def test_no_answer_goes_where_it_would_do_harm(topic: str) -> None:
    message = requests().answer(Received(HEALTH, "", response_topic=topic)).message

    assert message.topic == "citizenwatt/bridge/response/health_check"
