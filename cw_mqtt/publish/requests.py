"""What others may ask of the bridge over MQTT, and its answers. Pure.

An answer never holds more than `/health` does.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from cw_mqtt.publish.topics import Message, Topics, to_json

ANSWER_EXPIRY_S = 60


@dataclass(frozen=True, slots=True)
class Received:
    """A message from the broker; `retained` ones are from before the subscription.

    `response_topic` and `correlation` (MQTT 5 only) are how a request wants to be answered.
    """

    topic: str
    payload: str
    retained: bool = False
    response_topic: str | None = None
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What to publish in answer to a request, and what to do after it has arrived."""

    message: Message
    afterwards: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Requests:
    """Answers requests: those in `questions` by what they return, those in `actions` by "ok".

    Actions change something: of them only the `allowed` are done. `kept` are topics to which no
    answer may go, for something else is retained there.
    """

    topics: Topics
    allowed: Collection[str]
    questions: Mapping[str, Callable[[], Mapping[str, Any]]]
    actions: Mapping[str, Callable[[], None]]
    kept: Collection[str] = field(default_factory=frozenset)

    @property
    def verbs(self) -> list[str]:
        """All that may be asked."""
        return [*self.questions, *self.actions]

    def answer(self, request: Received) -> Answer:
        """The answer to a message under the topic of requests, an error if it is refused."""
        verb = request.topic.removeprefix(self.topics.request(""))
        transaction, problem = read_transaction(request.payload)
        if problem := problem or self._refusal(verb, request):
            said: dict[str, Any] = {"status": "error", "error": problem}
        elif verb in self.questions:
            said = {"status": "ok", "data": self.questions[verb]()}
        else:
            said = {"status": "ok"}
        if transaction is not None:
            said["transaction"] = transaction
        message = Message(
            self._response_topic(verb, request.response_topic),
            to_json(said),
            1,
            retain=False,
            expiry_s=ANSWER_EXPIRY_S,
            correlation=request.correlation,
        )
        return Answer(message, None if problem else self.actions.get(verb))

    def _refusal(self, verb: str, request: Received) -> str | None:
        if request.retained:
            return "a retained request is refused: it would be repeated at each connection"
        if verb in self.questions or (verb in self.actions and verb in self.allowed):
            return None
        if verb in self.actions:
            return f"off; to allow it, add {verb} to mqtt.allow_requests in config.yaml"
        return f"unknown request; known are: {', '.join(self.verbs)}"

    def _response_topic(self, verb: str, wanted: str | None) -> str:
        if not wanted or wanted in self.kept or set(wanted) & set("+#"):
            return self.topics.response(verb)
        return wanted


def read_transaction(payload: str) -> tuple[Any, str | None]:
    """The `transaction` of a request, and what is wrong with its payload, if anything."""
    if not payload:
        return None, None
    try:
        content = json.loads(payload)
    except (ValueError, RecursionError):
        content = None
    transaction = content.get("transaction") if isinstance(content, dict) else [content]
    if not isinstance(transaction, str | int | float | None):
        return None, 'expected a JSON object such as {"transaction": 1}, or nothing'
    return transaction, None
