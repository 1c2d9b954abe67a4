"""The commands `cw-mqtt discovery ...`: what is left at the broker."""

import json
import secrets
import time
from collections.abc import Collection, Mapping
from pathlib import Path

import click

from cw_mqtt.commands.common import AS_JSON, load
from cw_mqtt.config.settings import MqttSettings, Settings
from cw_mqtt.errors import UsageError
from cw_mqtt.publish.client import Connection, connect
from cw_mqtt.publish.homeassistant import ORIGIN, Identity, discovery_first
from cw_mqtt.publish.paho_setup import SocketWakeup
from cw_mqtt.publish.topics import Topics, cleared
from cw_mqtt.publish.totals import installation_in, parse_object


@click.group("discovery")
def discovery() -> None:
    """What Home Assistant finds at the broker."""


@discovery.command("cleanup")
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@AS_JSON
@click.pass_obj
def discovery_cleanup(config: Path | None, *, dry_run: bool, as_json: bool) -> None:
    """Remove from the broker what no sensor of config.yaml publishes any more.

    The bridge does that by itself for sensors that are renamed or removed. This is for what it
    cannot know, because its journal was lost or somebody else published under its base topic.
    Topics of other programs are left alone. `cw-mqtt run` may be running.
    """
    from cw_mqtt.commands.discovery import clean_up

    settings, _ = load(config)
    topics = clean_up(settings, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps({"removed": not dry_run, "topics": topics}))
        return
    for topic in topics:
        click.echo(topic)
    done = "would be removed" if dry_run else "removed"
    click.echo(f"{len(topics)} topic(s) {done}." if topics else "Nothing is left behind.", err=True)


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
    connection = connect(mqtt, client_id, None, SocketWakeup(), None)
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
