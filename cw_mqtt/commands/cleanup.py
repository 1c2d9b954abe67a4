"""What an earlier life of the bridge left behind at the broker: found, and removed.

The bridge itself clears what its ledger of retained topics names. This is for what no ledger
knows: the journal was lost, or another copy of the bridge has published here.
"""

import secrets
import time
from collections.abc import Collection, Mapping

from cw_mqtt.config.settings import MqttSettings, Settings
from cw_mqtt.errors import UsageError
from cw_mqtt.publish.client import Connection
from cw_mqtt.publish.connecting import connect
from cw_mqtt.publish.discovery import discovery_first
from cw_mqtt.publish.entities import ORIGIN
from cw_mqtt.publish.identity import Identity
from cw_mqtt.publish.network import NetworkBell
from cw_mqtt.publish.topics import Topics, cleared
from cw_mqtt.publish.totals import installation_in, parse_object

SILENT_FOR_S = 1.0


def clean_up(settings: Settings, *, dry_run: bool) -> list[str]:
    """The topics that nothing of these settings uses any more, removed unless `dry_run`.

    Raises `UsageError` without a section mqtt, or when no bridge has published there yet;
    `ResourceAwayError` when the broker cannot be used.
    """
    mqtt = settings.mqtt
    if mqtt is None:
        raise UsageError("config.yaml has no section mqtt: nothing is published")
    client_id = f"cw-cleanup-{secrets.token_hex(4)}"
    connection = connect(mqtt, client_id, None, NetworkBell(), None)
    try:
        found = everything_retained(connection, (mqtt.base_topic, mqtt.discovery.prefix))
        topics = find_ghosts(found, mqtt, wanted_topics(found, mqtt, settings))
        if not dry_run:
            for topic in topics:
                connection.publish(cleared(topic))
            connection.settle()
        connection.say_goodbye()
    finally:
        connection.close()
    return topics


def everything_retained(connection: Connection, roots: Collection[str]) -> dict[str, str]:
    """Every retained message below these topics, until no more of them come."""
    found: dict[str, str] = {}
    connection.subscribe([f"{root}/#" for root in roots])
    heard_s = time.monotonic()
    while time.monotonic() - heard_s < SILENT_FOR_S:
        while connection.received:
            received = connection.received.popleft()
            if received.retained:
                found[received.topic] = received.payload
                heard_s = time.monotonic()
        connection.work(0.1)
    return found


def wanted_topics(
    found: Mapping[str, str], mqtt: MqttSettings, settings: Settings
) -> frozenset[str]:
    """What the bridge that publishes there retains now, by the name it gives itself."""
    installation = installation_in(found.get(Topics(mqtt.base_topic).bridge("info"), ""))
    if installation is None:
        raise UsageError(
            f"no bridge has said its name under {mqtt.base_topic}/bridge/info: "
            "let `cw-mqtt run` connect once, then clean up"
        )
    return Identity.of(installation, mqtt, settings).retained


def find_ghosts(found: Mapping[str, str], mqtt: MqttSettings, wanted: Collection[str]) -> list[str]:
    """Topics of this base topic, and discovery that leads to it, that are not wanted any more.

    Discovery comes first: an entity that is still there cannot read a value that is gone.
    """
    base = f"{mqtt.base_topic}/"
    return sorted(
        (
            topic
            for topic, payload in found.items()
            if topic not in wanted and (topic.startswith(base) or is_ours(payload, base))
        ),
        key=discovery_first,
    )


def is_ours(payload: str, base: str) -> bool:
    """Whether a discovery message is of this program and leads to this base topic."""
    origin = parse_object(payload).get("origin")
    return isinstance(origin, dict) and origin.get("name") == ORIGIN and f'"{base}' in payload
