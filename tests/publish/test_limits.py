"""Brokers that take less than others: what cannot be had is named, the rest is published."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cw_mqtt.publish.limits import Limits, Suspicion, packet_bytes
from cw_mqtt.publish.publisher import MqttPublisher
from cw_mqtt.publish.topics import Message
from tests.mosquitto import ANONYMOUS, Broker
from tests.publish.house import House, state
from tests.publish.observer import Observer

MakeBroker = Callable[..., Broker]
SMALL = Message("a/b", "x" * 10, 1, retain=True)
LARGE = Message("a/c", "x" * 999, 1, retain=True)


@pytest.fixture
def house(tmp_path: Path, make_broker: MakeBroker, monkeypatch: Any) -> Iterator[House]:
    """A bridge that knows no broker yet, and tries again at once."""
    monkeypatch.setattr(MqttPublisher, "longest_pause_s", 0.01)
    house = House(tmp_path / "data", {})
    house.journal.commit([state()])
    yield house
    house.close()


def run(house: House, broker: Broker, caplog: pytest.LogCaptureFixture, **mqtt: Any) -> list[str]:
    """Publish everything; what was said that is no ordinary life."""
    house.start_and_wait(host=broker.host, port=broker.port, **mqtt)
    house.stop()
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def kept(broker: Broker) -> dict[str, str]:
    """What a subscriber who comes now is given."""
    observer = Observer(broker)
    observer.publish("test/marker", "x", qos=0)
    observer.wait_for("test/marker", "x")
    observer.close()
    return {seen.topic: seen.payload for seen in observer.seen if seen.retained}


def test_what_a_broker_says_of_itself_is_kept_to() -> None:
    told = Properties(PacketTypes.CONNACK)  # type: ignore[no-untyped-call]
    told.MaximumPacketSize, told.MaximumQoS, told.RetainAvailable = 100, 0, 0
    told.ReceiveMaximum, told.WildcardSubscriptionAvailable = 5, 0

    limits = Limits().told(told)

    assert (limits.window, limits.wildcards) == (5, False)
    sent = limits.fitted(SMALL, "5")
    assert (sent.qos, sent.retain) == (0, False)
    assert limits.objection(sent, "5") is None
    assert limits.objection(LARGE, "5") == "it has 1010 bytes, and the broker takes 100 at most"
    assert len(list(limits.losses())) == 2


def test_a_broker_that_says_nothing_takes_everything() -> None:
    limits = Limits().told(None)

    assert limits == Limits()
    assert limits.fitted(LARGE, "3.1.1") == LARGE
    assert not list(limits.losses())


@pytest.mark.parametrize(
    ("message", "protocol", "size"),
    [
        (Message("a/b", "", 0, retain=False), "3.1.1", 2 + 2 + 3),
        (Message("a/b", "é", 1, retain=False), "3.1.1", 2 + 2 + 3 + 2 + 2),
        (Message("a/b", "x" * 200, 0, retain=False), "3.1.1", 3 + 2 + 3 + 200),
        (Message("a/b", "", 1, retain=False), "5", 2 + 2 + 3 + 2 + 1),
        (Message("a/b", "", 0, retain=False, expiry_s=9, correlation=b"c"), "5", 7 + 1 + 5 + 4),
    ],
)
def test_a_packet_has_the_size_that_goes_over_the_wire(
    message: Message, protocol: Any, size: int
) -> None:
    assert packet_bytes(message, protocol) == size


def test_a_shorter_payload_stands_for_one_that_is_too_large() -> None:
    message = Message("a/b", "x" * 999, 0, retain=True, shorter="x")

    assert Limits(packet_bytes=100).fitted(message, "5").payload == "x"
    assert Limits(packet_bytes=2000).fitted(message, "5").payload == message.payload


def test_a_message_is_fatal_when_two_connections_end_at_it_alone() -> None:
    suspicion = Suspicion()

    suspicion.broken(LARGE, "3.1.1")
    first = suspicion.limits
    suspicion.broken(LARGE, "3.1.1")

    assert (first.window, first.objection(LARGE, "3.1.1")) == (1, None)
    assert "these 1009 bytes" in (suspicion.limits.objection(LARGE, "3.1.1") or "")
    assert suspicion.limits.objection(SMALL, "3.1.1") is None


def test_connections_that_end_at_different_messages_or_at_none_blame_nothing() -> None:
    suspicion = Suspicion()

    for unanswered in (LARGE, SMALL, None, LARGE):
        suspicion.broken(unanswered, "3.1.1")

    assert suspicion.limits.objection(LARGE, "3.1.1") is None
    suspicion.dispelled()
    assert suspicion.limits == Limits()


@pytest.mark.parametrize(
    ("line", "protocol", "words"),
    [
        ("max_packet_size 2048", "5", "bytes, and the broker takes 2048 at most"),
        ("max_packet_size 2048", "3.1.1", "closes the connection each time that these"),
        ("message_size_limit 2000", "5", "closes the connection each time that these"),
    ],
)
def test_a_device_that_is_too_large_is_told_of_entity_by_entity(
    house: House, make_broker: MakeBroker, caplog: Any, line: str, protocol: str, words: str
) -> None:
    broker = make_broker(*ANONYMOUS, line)

    said = run(house, broker, caplog, protocol=protocol)

    topics = kept(broker)
    node = f"{house.journal.installation}_main"
    assert f"homeassistant/sensor/{node}/energy/config" in topics
    assert f"homeassistant/device/{node}/config" not in topics
    assert topics["citizenwatt/main/energy"] == "12.500"
    assert any(node in text and words in text for text in said)
    assert all("it does not accept homeassistant/" in t for t in said if "client id" in t)


def test_what_does_not_fit_in_any_form_is_named_and_the_values_flow(
    house: House, make_broker: MakeBroker, caplog: Any
) -> None:
    broker = make_broker(*ANONYMOUS, "max_packet_size 400")

    said = run(house, broker, caplog)

    topics = kept(broker)
    assert topics["citizenwatt/main/energy"] == "12.500"
    assert '"receiver":' in topics["citizenwatt/bridge/health"]
    assert any("_energy/config" in text or "/energy/config: it has" in text for text in said)


def test_a_broker_that_keeps_nothing_is_published_to(
    house: House, make_broker: MakeBroker, caplog: Any
) -> None:
    broker = make_broker(*ANONYMOUS, "retain_available false")
    observer = Observer(broker)

    said = run(house, broker, caplog)

    observer.wait_for("citizenwatt/bridge/state", "offline")
    assert observer.payloads("citizenwatt/main/energy")
    assert len([text for text in said if "keeps no retained messages" in text]) == 1
    observer.close()


def test_a_broker_that_acknowledges_nothing_is_published_to(
    house: House, make_broker: MakeBroker, caplog: Any
) -> None:
    broker = make_broker(*ANONYMOUS, "max_qos 0")

    said = run(house, broker, caplog)

    assert kept(broker)["citizenwatt/main/energy"] == "12.500"
    assert len([text for text in said if "acknowledges nothing" in text]) == 1


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        ("5", "it is not allowed; see the broker's access rules"),
        ("3.1.1", "it cannot be read back"),
    ],
)
def test_discovery_that_may_not_be_written_is_named(
    house: House,
    make_broker: MakeBroker,
    tmp_path: Path,
    caplog: Any,
    protocol: str,
    words: str,
) -> None:
    rules = tmp_path / "rules"
    rules.write_text("topic readwrite citizenwatt/#\ntopic readwrite test/#\n")
    broker = make_broker(*ANONYMOUS, f"acl_file {rules}")

    said = run(house, broker, caplog, protocol=protocol)

    node = f"{house.journal.installation}_main"
    assert f"the broker does not accept homeassistant/device/{node}/config: {words}" in "\n".join(
        said
    )
    assert kept(broker)["citizenwatt/main/energy"] == "12.500"
