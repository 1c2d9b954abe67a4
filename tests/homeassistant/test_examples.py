"""The package, the dashboard and the blueprints speak of what the bridge really announces."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from cw_mqtt.config.load import load_settings
from cw_mqtt.config.settings import MqttSettings
from cw_mqtt.publish.homeassistant import Identity

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "homeassistant"
PACKAGE = FOLDER / "packages/citizenwatt.yaml"
DASHBOARD = FOLDER / "dashboards/citizenwatt.yaml"
BLUEPRINTS = sorted(FOLDER.glob("blueprints/automation/cw_mqtt/*.yaml"))
ENTITY_ID = re.compile(r"\b(?:sensor|binary_sensor|input_number)\.\w+")
PLAIN_CARDS = {"gauge", "entities", "history-graph", "statistics-graph"}


class Input(str):
    """What `!input NAME` stands for in a blueprint."""

    __slots__ = ()
    yaml_tag = "!input"

    @classmethod
    def from_yaml(cls, _constructor: Any, node: Any) -> "Input":
        return cls(node.value)


def read(text: str) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.register_class(Input)
    return yaml.load(text)


def written_for(slug: str, path: Path) -> str:
    """A file as somebody has it whose sensor has this slug, by the rule at its head."""
    return path.read_text("utf-8").replace("main", slug.replace("-", "_"))


def announced(slug: str) -> set[str]:
    """Every entity that the shipped config.yaml gives, with this slug for its sensor's."""
    shipped = load_settings(ROOT / "config.yaml")
    (sensor,) = shipped.sensors
    changed = shipped.model_copy(update={"sensors": [sensor.model_copy(update={"slug": slug})]})
    mqtt = MqttSettings.model_validate({"discovery": {"style": "entity"}})
    messages = Identity.of("1a2b", mqtt, changed).discovery
    return {json.loads(message.payload)["default_entity_id"] for message in messages}


def made_by_the_package(slug: str) -> set[str]:
    """Its helpers; Home Assistant makes a meter's id of its name."""
    package = read(written_for(slug, PACKAGE))
    meters = {
        meter["name"].lower().replace(" ", "_") for meter in package["utility_meter"].values()
    }
    numbers = package["input_number"]
    return {f"sensor.{each}" for each in meters} | {f"input_number.{each}" for each in numbers}


def inputs_used(part: Any) -> Iterator[str]:
    """The names that follow `!input`, anywhere in a blueprint."""
    if isinstance(part, Input):
        yield str(part)
    elif isinstance(part, dict | list):
        for each in part.values() if isinstance(part, dict) else part:
            yield from inputs_used(each)


@pytest.mark.parametrize("slug", ["main", "flat-2"])
@pytest.mark.parametrize("path", [PACKAGE, DASHBOARD], ids=lambda path: path.parent.name)
def test_every_entity_that_is_used_exists(path: Path, slug: str) -> None:
    used = set(ENTITY_ID.findall(written_for(slug, path)))

    assert len(used) > 2
    assert used <= announced(slug) | made_by_the_package(slug)


def test_the_overload_is_shown_and_taken_back_under_the_same_id() -> None:
    (automation,) = read(PACKAGE.read_text("utf-8"))["automation"]
    (choice,) = automation["actions"]

    shown, taken_back = choice["then"][0]["data"], choice["else"][0]["data"]
    assert shown["notification_id"] == taken_back["notification_id"]


def test_the_dashboard_has_plain_cards_only() -> None:
    (view,) = read(DASHBOARD.read_text("utf-8"))["views"]

    assert {card["type"] for card in view["cards"]} == PLAIN_CARDS


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_uses_each_of_its_inputs_and_no_other(path: Path) -> None:
    blueprint = read(path.read_text("utf-8"))

    assert blueprint["blueprint"]["domain"] == "automation"
    assert set(inputs_used(blueprint)) == set(blueprint["blueprint"]["input"])
