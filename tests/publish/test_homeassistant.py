"""Discovery messages against what Home Assistant accepts, see `homeassistant_facts`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cw_mqtt.config.settings import MqttSettings
from cw_mqtt.publish.identity import Identity
from tests.settings import NIGHT_CONTRACT, settings

ACCEPTED = json.loads((Path(__file__).parent.parent / "data" / "homeassistant.json").read_text())


def entities(style: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every entity there can be, with its platform, in the form that Home Assistant makes of it."""
    made = settings(Path(), providers=[{**NIGHT_CONTRACT, "threshold_w": 6000}])
    mqtt = MqttSettings.model_validate(
        {"discovery": {"style": style}, "allow_requests": ["restart"]}
    )
    for message in Identity.of("1a2b", mqtt, made).discovery:
        payload = json.loads(message.payload)
        platform = message.topic.split("/")[1]
        for component in payload.pop("components", {"it": {"platform": platform}}).values():
            entity = {**payload, **component}
            yield entity.pop("platform"), entity


def unknown_keys(platform: str, entity: Mapping[str, Any]) -> set[str]:
    """Keys that Home Assistant does not know, or no longer wants; it would ignore them."""
    keys = ACCEPTED["keys"]
    unknown = entity.keys() - set(keys[platform])
    unknown |= entity["device"].keys() - set(keys["device"])
    unknown |= entity["origin"].keys() - set(keys["origin"])
    return unknown.union(
        *(each.keys() - set(keys["availability"]) for each in entity.get("availability", ()))
    )


def wrong_class(platform: str, entity: Mapping[str, Any]) -> str | None:
    """What is wrong with device class, unit and state class; Home Assistant would refuse it."""
    name = entity.get("device_class")
    if platform != "sensor" or name is None:
        classes = ACCEPTED.get(f"{platform}_classes", ())
        return None if name in (None, *classes) else f"no device class {name}"
    accepted = ACCEPTED["sensor_classes"][name]
    units = accepted["units"] or ["EUR" if name == "monetary" else None]
    if entity.get("unit_of_measurement") not in units:
        return f"{name} in {entity.get('unit_of_measurement')}"
    state_class = entity.get("state_class")
    if state_class and state_class not in accepted["state_classes"]:
        return f"{name} as {state_class}"
    return None


@pytest.mark.parametrize("style", ["device", "entity"])
def test_every_key_is_one_that_home_assistant_knows(style: str) -> None:
    found = {each["unique_id"]: unknown_keys(kind, each) for kind, each in entities(style)}

    assert len(found) == 14
    assert not set().union(*found.values()), found


@pytest.mark.parametrize("style", ["device", "entity"])
def test_every_device_class_has_a_unit_and_state_class_of_its_own(style: str) -> None:
    assert not [wrong for kind, each in entities(style) if (wrong := wrong_class(kind, each))]


@pytest.mark.parametrize("style", ["device", "entity"])
def test_ids_are_unique_and_entity_ids_name_their_platform(style: str) -> None:
    made = list(entities(style))

    assert len({each["unique_id"] for _, each in made}) == len(made)
    assert all(each["default_entity_id"].startswith(f"{kind}.") for kind, each in made)


def test_diagnostics_are_the_only_category_that_a_sensor_may_have() -> None:
    categories = {each.get("entity_category") for kind, each in entities("device")}

    assert categories == {None, "diagnostic"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"object_id": "power"},
        {"device": {"identifiers": ["1"], "via_hub": "2"}},
        {"availability": [{"topic": "a", "payload": "b"}]},
    ],
)
def test_a_wrong_or_deprecated_key_is_found(wrong: dict[str, Any]) -> None:
    kind, power = next(each for each in entities("entity") if each[0] == "sensor")

    assert unknown_keys(kind, {**power, **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"device_class": "energy", "unit_of_measurement": "kwh"},
        {"device_class": "energy", "unit_of_measurement": "kWh", "state_class": "measurement"},
        {"device_class": "monetary", "unit_of_measurement": "€"},
        {"device_class": "timestamp", "unit_of_measurement": "s"},
    ],
)
def test_a_wrong_unit_or_state_class_is_found(wrong: dict[str, Any]) -> None:
    assert wrong_class("sensor", wrong)
