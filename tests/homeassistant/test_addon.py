"""The add-on: what a Supervisor reads of it, and its script, run as a Supervisor would."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from cw_mqtt import __version__
from cw_mqtt.config.load import load_settings
from tests.packets import KEY
from tests.waiting import DEADLINE_S

ADDON = Path(__file__).parents[2] / "homeassistant/addon"
BASHIO = Path(__file__).with_name("bashio")
LANGUAGES = ("en", "fr")
# https://developers.home-assistant.io/docs/apps/configuration, in November 2026
REQUIRED = {"name", "version", "slug", "description", "arch"}
KNOWN = {
    *REQUIRED,
    *("homeassistant", "startup", "init", "timeout", "watchdog", "backup"),
    *("services", "uart", "ports", "webui", "options", "schema"),
}
TYPE = re.compile(
    r"(bool|str|password|port|int(\(\d*,\d*\))?|float(\(\d*,\d*\))?"
    r"|match\(.+\)|list\(.+\)|device\(subsystem=tty\))\??"
)
OPTIONS = {
    "port": "/dev/ttyUSB0",
    "sensors": [{"slug": "main", "name": "Maison", "key": KEY.hex()}],
    "day_eur_per_kwh": 0.2,
    "night_hours": [],
    "log_level": "info",
}
NIGHT = {"night_eur_per_kwh": 0.1, "night_eur_per_month": 2.5, "night_hours": ["22:30-06:30"]}
BROKER = {
    "host": "core-mosquitto",
    "port": 1883,
    "ssl": False,
    "username": "addons",
    "password": 'any: "#\\ é$(x)',
}
# Instead of running the bridge, it looks the settings over.
CW_MQTT = """\
#!/bin/sh
[ "$3" = run ] && exec {real} --config "$2" check-config
exec {real} "$@"
"""


def read(name: str) -> Any:
    return YAML(typ="safe", pure=True).load(ADDON / name)


def types(schema: Any) -> list[str]:
    """Every type in a schema of options."""
    if isinstance(schema, str):
        return [schema]
    parts = schema.values() if isinstance(schema, dict) else schema
    return [each for part in parts for each in types(part)]


def start(folder: Path, broker: dict[str, Any] | None, **options: Any) -> Any:
    """Run the add-on's script, with its data in `folder`."""
    (folder / "options.json").write_text(json.dumps({**OPTIONS, **options}))
    if broker:
        (folder / "mqtt.json").write_text(json.dumps(broker))
    program = folder / "cw-mqtt"
    program.write_text(CW_MQTT.format(real=Path(sys.executable).with_name("cw-mqtt")))
    program.chmod(0o755)
    path = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [BASHIO, ADDON / "run.sh"],
        env={"PATH": path, "CW_MQTT_DATA": str(folder), "SERVICES": str(folder)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )


def test_the_configuration_has_what_is_required_and_no_unknown_key() -> None:
    assert REQUIRED <= set(read("config.yaml")) <= KNOWN


def test_the_version_is_that_of_the_bridge() -> None:
    assert read("config.yaml")["version"] == __version__


def test_every_option_has_a_type_that_a_supervisor_knows() -> None:
    unknown = [each for each in types(read("config.yaml")["schema"]) if not TYPE.fullmatch(each)]

    assert unknown == []


def test_every_option_that_must_be_there_has_a_default() -> None:
    configuration = read("config.yaml")

    required = {
        name
        for name, kind in configuration["schema"].items()
        if not (isinstance(kind, str) and kind.endswith("?"))
    }
    assert set(configuration["options"]) == required


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_option_and_port_is_explained(language: str) -> None:
    configuration, texts = read("config.yaml"), read(f"translations/{language}.yaml")

    assert texts["configuration"].keys() == configuration["schema"].keys()
    assert all(set(text) == {"name", "description"} for text in texts["configuration"].values())
    assert texts["network"].keys() == configuration["ports"].keys()


@pytest.mark.parametrize("options", [{}, NIGHT, {"threshold_w": 6000}], ids=str)
def test_the_script_writes_settings_that_are_right(tmp_path: Path, options: Any) -> None:
    ran = start(tmp_path, BROKER, **options)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert "is right: 1 receiver(s), 1 sensor(s)." in ran.stdout


def test_the_broker_is_the_one_of_home_assistant(tmp_path: Path) -> None:
    start(tmp_path, BROKER)

    mqtt = load_settings(tmp_path / "config.yaml").mqtt
    assert mqtt
    assert mqtt.password
    assert (mqtt.host, mqtt.port, mqtt.tls) == ("core-mosquitto", 1883, None)
    assert (mqtt.username, mqtt.password.get_secret_value()) == ("addons", BROKER["password"])


def test_a_broker_with_tls_is_used_with_tls(tmp_path: Path) -> None:
    start(tmp_path, {**BROKER, "ssl": True})

    mqtt = load_settings(tmp_path / "config.yaml").mqtt
    assert mqtt
    assert mqtt.tls


def test_a_night_price_makes_a_contract_with_two_tariffs(tmp_path: Path) -> None:
    start(tmp_path, BROKER, **NIGHT)

    (contract,) = load_settings(tmp_path / "config.yaml").providers
    assert contract.night
    assert (contract.day.eur_per_kwh, contract.night.eur_per_kwh) == (0.2, 0.1)
    assert len(contract.night_hours) == 1


def test_the_settings_can_be_read_by_the_add_on_alone(tmp_path: Path) -> None:
    start(tmp_path, BROKER)

    assert (tmp_path / "config.yaml").stat().st_mode & 0o077 == 0


def test_the_login_is_made_once(tmp_path: Path) -> None:
    said = [start(tmp_path, BROKER, login="anna", password="correct horse") for _ in range(2)]

    assert [each.returncode for each in said] == [0, 0]
    assert "anna may log in now." in said[0].stderr
    assert "there is already a user 'anna'" in said[1].stderr


def test_a_mistake_in_the_options_is_named_and_ends_the_add_on(tmp_path: Path) -> None:
    ran = start(tmp_path, BROKER, **{**NIGHT, "night_hours": []})

    assert ran.returncode == 2
    assert "expected both night and night_hours" in ran.stderr


def test_without_a_broker_the_script_says_what_to_install(tmp_path: Path) -> None:
    ran = start(tmp_path, None)

    assert ran.returncode == 1
    assert "install the add-on 'Mosquitto broker'" in ran.stderr
