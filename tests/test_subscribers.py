"""The examples for other subscribers do what they promise, as printed."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from cw_mqtt.config.settings import MqttSettings
from cw_mqtt.publish.topics import Topics
from tests.missing import MOSQUITTO_CLIENTS, needed
from tests.mosquitto import Broker
from tests.publish.house import House, state
from tests.waiting import DEADLINE_S, wait_until

PAGE = (Path(__file__).parents[1] / "docs/subscribers.md").read_text("utf-8")
COMMANDS = re.findall(r"^    (mosquitto_sub .+)$", PAGE, re.MULTILINE)
PUBLISHED = Topics("citizenwatt").retained(["main"])


def example(language: str) -> str:
    """The one example in this language."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


@pytest.fixture
def publishing(broker: Broker, tmp_path: Path) -> Iterator[Broker]:
    """A broker on which a bridge has published 512 W and 12.5 kWh."""
    house = House(tmp_path / "data", {"host": broker.host, "port": broker.port})
    house.journal.commit([state(512, kwh=12.5)])
    house.start_and_wait()
    yield broker
    house.close()


@pytest.mark.parametrize(
    ("command", "said"),
    [*zip(COMMANDS, [r"512", r"12\.500", r"\d{4}-\d\d-\d\dT\S+,512"], strict=True)],
)
def test_mosquitto_sub_shows_the_value(publishing: Broker, command: str, said: str) -> None:
    program, *words = shlex.split(command.partition(" >>")[0])
    found = needed(program, MOSQUITTO_CLIENTS)
    words[words.index("localhost")] = publishing.host

    ran = subprocess.run(
        [found, "-p", str(publishing.port), *words, "-C", "1", "-W", str(DEADLINE_S)],
        capture_output=True,
        text=True,
    )

    assert re.fullmatch(said, ran.stdout.strip()), ran.stderr


def test_the_python_example_shows_the_values(publishing: Broker, tmp_path: Path) -> None:
    script, output = tmp_path / "example.py", tmp_path / "output"
    address = f'"{publishing.host}", {publishing.port}'
    script.write_text(example("python").replace('"localhost", 1883', address))

    with (
        output.open("w") as writable,
        subprocess.Popen([sys.executable, script], stdout=writable) as process,
    ):
        try:
            wait_until(lambda: len(output.read_text().splitlines()) == 2)
        finally:
            process.kill()

    assert sorted(output.read_text().splitlines()) == ["512 W, 12.5 kWh", "the sensor is online"]


def test_the_flow_of_node_red_is_wired_and_hears_what_is_published() -> None:
    nodes = {node["id"]: node for node in json.loads(example("json"))}

    subscribed = {node["topic"] for node in nodes.values() if node["type"] == "mqtt in"}
    wired = {name for node in nodes.values() for wire in node.get("wires", []) for name in wire}
    assert subscribed
    assert subscribed <= PUBLISHED
    assert wired <= nodes.keys()


def test_telegraf_hears_what_is_published() -> None:
    (consumer,) = tomllib.loads(example("toml"))["inputs"]["mqtt_consumer"]

    assert set(consumer["topics"]) <= PUBLISHED


def test_openhab_hears_what_is_published() -> None:
    settings = MqttSettings.model_validate(YAML(typ="safe").load(example("yaml"))["mqtt"])
    topics = re.findall(r'Topic="(\S+)"', PAGE)

    assert settings.discovery.style == "entity"
    assert len(topics) == 3
    assert set(topics) <= PUBLISHED
