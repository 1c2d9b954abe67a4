"""Prints the bridge's config.yaml, made of the add-on's options and Home Assistant's broker.

`python3 settings.py DATA`: DATA has the options.json that the Supervisor wrote, and will have the
journal and the database. The broker is in the environment variables MQTT_*.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def settings(options: Mapping[str, Any], broker: Mapping[str, str], data: Path) -> dict[str, Any]:
    """The settings, as docs/configuration.md of cw_mqtt describes them."""
    return {
        "data_dir": str(data),
        "receivers": [{"name": "usb", "port": options["port"]}],
        "sensors": options["sensors"],
        "mqtt": mqtt(broker),
        "logging": {"level": options["log_level"]},
        "providers": [contract(options)],
    }


def mqtt(broker: Mapping[str, str]) -> dict[str, Any]:
    """The broker; it is in the same machine, so that its certificate is for another name."""
    section: dict[str, Any] = {"host": broker["MQTT_HOST"], "port": int(broker["MQTT_PORT"])}
    if broker["MQTT_USERNAME"]:
        section |= {"username": broker["MQTT_USERNAME"], "password": broker["MQTT_PASSWORD"]}
    if broker["MQTT_SSL"] == "true":
        section["tls"] = {"verify": False}
    return section


def contract(options: Mapping[str, Any]) -> dict[str, Any]:
    """The electricity contract; a price for the night makes it one with two tariffs."""
    section: dict[str, Any] = {
        "name": "Home Assistant",
        "day": price(options, "day"),
        "threshold_w": options.get("threshold_w", 0),
    }
    if options["night_hours"] or "night_eur_per_kwh" in options:
        section |= {"night": price(options, "night"), "night_hours": options["night_hours"]}
    return section


def price(options: Mapping[str, Any], tariff: str) -> dict[str, float]:
    """What a tariff costs, without what is left out."""
    quantities = ("eur_per_kwh", "eur_per_month")
    found = {quantity: options.get(f"{tariff}_{quantity}") for quantity in quantities}
    return {quantity: value for quantity, value in found.items() if value is not None}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    chosen = json.loads((folder / "options.json").read_text("utf-8"))
    json.dump(settings(chosen, os.environ, folder), sys.stdout, indent=2)  # JSON is YAML
