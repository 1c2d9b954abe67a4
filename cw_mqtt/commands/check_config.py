"""`cw-mqtt check-config`: whether config.yaml is right."""

import json
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from cw_mqtt.commands.common import AS_JSON, WRONG
from cw_mqtt.config.load import find_config, load_settings, warnings
from cw_mqtt.errors import SettingsError


@click.command("check-config")
@AS_JSON
@click.pass_obj
def check_config_command(config: Path | None, *, as_json: bool) -> None:
    """Say whether config.yaml is right, or every mistake in it with its place."""
    path = find_config(config)
    try:
        settings = load_settings(path)
    except SettingsError as error:
        if not as_json:
            raise
        mistakes = [asdict(mistake) for mistake in error.mistakes]
        told = {"ok": False, "mistakes": mistakes, "warnings": [], "timezone": None}
        click.echo(json.dumps(told))
        sys.exit(WRONG)
    advice, zone = warnings(settings), settings.timezone
    if as_json:
        told = {"ok": True, "mistakes": [], "warnings": advice, "timezone": str(zone)}
        click.echo(json.dumps(told))
        return
    for text in advice:
        click.echo(f"warning: {text}")
    click.echo(f"The time zone is {zone}, where it is {datetime.now(zone):%H:%M} now.")
    receivers, sensors = len(settings.receivers), len(settings.sensors)
    click.echo(f"{path} is right: {receivers} receiver(s), {sensors} sensor(s).")
