"""Discovery messages against what Home Assistant accepts, see `homeassistant_facts`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cw_mqtt import __version__
from cw_mqtt.config.settings import MqttSettings
from cw_mqtt.publish.homeassistant import Identity
from tests.settings import NIGHT_CONTRACT, SENSOR, SIX_PRICES, settings

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


SENSORS = [{**SENSOR, "slug": "flat-2", "name": "Flat"}]
LIMITED = {"name": "6 kVA", "day": {"eur_per_kwh": 0.2}, "threshold_w": 6000}
BRIDGE_STATE = {"topic": "citizenwatt/bridge/state"}
CONNECTIVITY = "homeassistant/binary_sensor/1a2b_bridge/connectivity/config"
DEVICE = "homeassistant/device/1a2b_flat-2/config"
BRIDGE = "homeassistant/device/1a2b_bridge/config"


def discovered(style: Any, *contracts: Any, **mqtt: Any) -> dict[str, Any]:
    """The discovery messages by topic, read back from JSON."""
    made = settings(Path(), sensors=SENSORS, providers=contracts)
    options = MqttSettings.model_validate({"discovery": {"style": style}, **mqtt})
    messages = Identity.of("1a2b", options, made).discovery
    assert all(message.qos == 1 and message.retain for message in messages)
    return {message.topic: json.loads(message.payload) for message in messages}


def test_device_style_is_one_message_a_device_the_bridge_first() -> None:
    assert list(discovered("device")) == [
        "homeassistant/device/1a2b_bridge/config",
        "homeassistant/device/1a2b_flat-2/config",
    ]


def test_entity_style_is_one_message_an_entity() -> None:
    assert list(discovered("entity")) == [
        CONNECTIVITY,
        "homeassistant/binary_sensor/1a2b_bridge/receiver/config",
        "homeassistant/sensor/1a2b_bridge/packets_per_minute/config",
        "homeassistant/sensor/1a2b_flat-2/power/config",
        "homeassistant/sensor/1a2b_flat-2/energy/config",
        "homeassistant/sensor/1a2b_flat-2/battery/config",
        "homeassistant/sensor/1a2b_flat-2/last_seen/config",
        "homeassistant/sensor/1a2b_flat-2/loss/config",
        "homeassistant/sensor/1a2b_flat-2/quality/config",
    ]


def test_style_none_announces_nothing() -> None:
    assert discovered("none") == {}


def test_power_is_available_when_bridge_and_sensor_are() -> None:
    power = discovered("device")["homeassistant/device/1a2b_flat-2/config"]["components"]["power"]

    assert power == {
        "platform": "sensor",
        "unique_id": "1a2b_flat-2_power",
        "default_entity_id": "sensor.citizenwatt_flat_2_power",
        "device_class": "power",
        "state_class": "measurement",
        "unit_of_measurement": "W",
        "suggested_display_precision": 0,
        "state_topic": "citizenwatt/flat-2/power",
        "availability": [BRIDGE_STATE, {"topic": "citizenwatt/flat-2/availability"}],
        "availability_mode": "all",
    }


def test_energy_can_be_picked_in_the_energy_dashboard_and_depends_on_the_bridge_alone() -> None:
    energy = discovered("entity")["homeassistant/sensor/1a2b_flat-2/energy/config"]

    assert energy == {
        "device": {
            "identifiers": ["1a2b_flat-2"],
            "name": "Flat",
            "manufacturer": "CitizenWatt",
            "model": "CitizenWatt sensor",
            "via_device": "1a2b_bridge",
        },
        "origin": {"name": "cw-mqtt", "sw_version": __version__},
        "availability": [BRIDGE_STATE],
        "unique_id": "1a2b_flat-2_energy",
        "default_entity_id": "sensor.citizenwatt_flat_2_energy",
        "device_class": "energy",
        "state_class": "total_increasing",
        "unit_of_measurement": "kWh",
        "suggested_display_precision": 2,
        "state_topic": "citizenwatt/flat-2/energy",
    }


@pytest.mark.parametrize("quantity", ["battery", "last_seen", "quality"])
def test_what_comes_out_of_the_state_is_diagnostic(quantity: str) -> None:
    entity = discovered("entity")[f"homeassistant/sensor/1a2b_flat-2/{quantity}/config"]

    assert entity["entity_category"] == "diagnostic"
    assert entity["state_topic"] == "citizenwatt/flat-2/state"
    assert entity["value_template"] == f"{{{{ value_json.{quantity} }}}}"


def test_loss_is_shown_in_percent() -> None:
    loss = discovered("entity")["homeassistant/sensor/1a2b_flat-2/loss/config"]

    assert loss["value_template"] == "{{ (value_json.loss * 100) | round(1) }}"
    assert loss["unit_of_measurement"] == "%"


def test_the_connectivity_of_the_bridge_stays_available_when_the_bridge_is_away() -> None:
    connectivity = discovered("entity")[CONNECTIVITY]

    assert "availability" not in connectivity
    assert connectivity["state_topic"] == "citizenwatt/bridge/state"
    assert (connectivity["payload_on"], connectivity["payload_off"]) == ("online", "offline")


@pytest.mark.parametrize("quantity", ["energy_day", "energy_night"])
def test_a_contract_with_night_prices_has_an_energy_for_each_tariff(quantity: str) -> None:
    entity = discovered("entity", NIGHT_CONTRACT)[
        f"homeassistant/sensor/1a2b_flat-2/{quantity}/config"
    ]

    assert (entity["device_class"], entity["state_class"]) == ("energy", "total_increasing")
    assert entity["value_template"] == f"{{{{ value_json.{quantity} }}}}"


def test_each_tariff_of_a_contract_has_an_energy() -> None:
    components = discovered("device", SIX_PRICES)[DEVICE]["components"]

    named = {name: c.get("name") for name, c in components.items() if "unique_id" in c}
    assert named["energy_red_day"] == "Energy red day"
    assert {name for name in named if name.startswith("energy_")} == {
        f"energy_{tariff['name']}" for tariff in SIX_PRICES["tariffs"]
    }


def test_a_tariff_that_has_gone_is_removed() -> None:
    made = settings(Path(), sensors=SENSORS, mqtt={}, providers=[NIGHT_CONTRACT])

    identity = Identity.of("1a2b", MqttSettings(), made, counted={"weekend", "night"})

    (flat,) = (json.loads(m.payload) for m in identity.discovery if m.topic == DEVICE)
    assert flat["components"]["energy_weekend"] == {"platform": "sensor"}
    assert "unique_id" in flat["components"]["energy_night"]


def test_what_a_contract_costs_is_a_total_in_the_currency_of_the_settings() -> None:
    cost = discovered("entity", NIGHT_CONTRACT)["homeassistant/sensor/1a2b_flat-2/cost/config"]

    assert (cost["device_class"], cost["state_class"]) == ("monetary", "total")
    assert cost["unit_of_measurement"] == "EUR"
    assert cost["value_template"] == "{{ value_json.cost }}"


def test_a_contract_with_a_limit_has_an_overload_which_is_of_this_moment() -> None:
    overload = discovered("device", LIMITED)[DEVICE]["components"]["overload"]

    assert (overload["platform"], overload["device_class"]) == ("binary_sensor", "problem")
    assert overload["availability_mode"] == "all"
    assert overload["availability"][1] == {"topic": "citizenwatt/flat-2/availability"}


@pytest.mark.parametrize(
    ("quantity", "platform"),
    [
        ("energy_day", "sensor"),
        ("energy_night", "sensor"),
        ("cost", "sensor"),
        ("overload", "binary_sensor"),
    ],
)
def test_what_only_an_earlier_contract_had_is_removed(quantity: str, platform: str) -> None:
    assert discovered("device")[DEVICE]["components"][quantity] == {"platform": platform}


def test_the_bridge_is_a_device_with_its_receivers_and_packets() -> None:
    components = discovered("device")[BRIDGE]["components"]

    assert components["receiver"]["value_template"] == "{{ value_json.receiver }}"
    assert components["packets_per_minute"]["state_topic"] == "citizenwatt/bridge/health"
    assert components["restart"] == {"platform": "button"}


def test_the_restart_button_is_there_when_requests_may_restart() -> None:
    components = discovered("device", allow_requests=["restart"])[BRIDGE]["components"]

    assert components["restart"]["command_topic"] == "citizenwatt/bridge/request/restart"
    assert components["restart"]["payload_press"] == "{}"


def test_both_styles_give_the_same_ids() -> None:
    device = discovered("device", NIGHT_CONTRACT)
    entities = discovered("entity", NIGHT_CONTRACT).values()

    components = [c for d in device.values() for c in d["components"].values()]
    in_devices = {c["unique_id"] for c in components if "unique_id" in c}
    assert {entity["unique_id"] for entity in entities} == in_devices


def proposed(**mqtt: Any) -> tuple[set[str], set[str]]:
    """The entity ids and the device names that Home Assistant is told."""
    messages = discovered("entity", **mqtt).values()
    ids = {message["default_entity_id"] for message in messages}
    return ids, {message["device"]["name"] for message in messages}


def test_one_bridge_has_plain_ids_and_names() -> None:
    ids, names = proposed()

    assert names == {"CitizenWatt bridge", "Flat"}
    assert "sensor.citizenwatt_flat_2_power" in ids


@pytest.mark.parametrize(
    ("base_topic", "power"),
    [
        ("attic", "sensor.attic_flat_2_power"),
        ("citizenwatt/attic", "sensor.citizenwatt_attic_flat_2_power"),
        ("Énergie/2", "sensor.energie_2_flat_2_power"),
        ("電気", "sensor.citizenwatt_1a2b_flat_2_power"),
    ],
)
def test_bridges_with_other_base_topics_share_no_id_and_no_name(
    base_topic: str, power: str
) -> None:
    plain_ids, plain_names = proposed()

    ids, names = proposed(base_topic=base_topic)

    assert power in ids
    assert names == {f"CitizenWatt bridge ({base_topic})", f"Flat ({base_topic})"}
    assert ids.isdisjoint(plain_ids)
    assert names.isdisjoint(plain_names)
