import json
from typing import Any

import pytest

from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.publish.discovery import Discovery
from cw_mqtt.publish.topics import Topics
from tests.settings import SENSOR

SENSORS = [SensorSettings.model_validate({**SENSOR, "slug": "flat-2", "name": "Flat"})]
BRIDGE_STATE = {"topic": "citizenwatt/bridge/state"}
CONNECTIVITY = "homeassistant/binary_sensor/1a2b_bridge/connectivity/config"


def discovered(style: Any, *, night_prices: bool = False) -> dict[str, Any]:
    """The discovery messages by topic, read back from JSON."""
    discovery = Discovery("1a2b", Topics("citizenwatt"), "homeassistant", "1.0", night_prices)
    messages = discovery.messages(style, SENSORS)
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
        "origin": {"name": "cw-mqtt", "sw_version": "1.0"},
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

    assert loss["value_template"] == "{{ value_json.loss * 100 }}"
    assert loss["unit_of_measurement"] == "%"


def test_the_connectivity_of_the_bridge_stays_available_when_the_bridge_is_away() -> None:
    connectivity = discovered("entity")[CONNECTIVITY]

    assert "availability" not in connectivity
    assert connectivity["state_topic"] == "citizenwatt/bridge/state"
    assert (connectivity["payload_on"], connectivity["payload_off"]) == ("online", "offline")


@pytest.mark.parametrize("quantity", ["energy_day", "energy_night"])
def test_a_contract_with_night_prices_has_an_energy_for_each_tariff(quantity: str) -> None:
    entity = discovered("entity", night_prices=True)[
        f"homeassistant/sensor/1a2b_flat-2/{quantity}/config"
    ]

    assert (entity["device_class"], entity["state_class"]) == ("energy", "total_increasing")
    assert entity["value_template"] == f"{{{{ value_json.{quantity} }}}}"


def test_without_night_prices_entities_of_an_earlier_contract_are_removed() -> None:
    device = discovered("device")["homeassistant/device/1a2b_flat-2/config"]

    assert device["components"]["energy_day"] == {"platform": "sensor"}


def test_both_styles_give_the_same_ids() -> None:
    device = discovered("device", night_prices=True)
    entities = discovered("entity", night_prices=True).values()

    in_devices = {c["unique_id"] for d in device.values() for c in d["components"].values()}
    assert {entity["unique_id"] for entity in entities} == in_devices
