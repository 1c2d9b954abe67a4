"""The command line: `cw-mqtt COMMAND`.

Exit code 0: done; 1: failed; 2: wrong usage or settings, or in use by another process. What a
command needs is imported in it, so that each starts fast.
"""

import json
import sys
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from cw_mqtt import __version__
from cw_mqtt.commands.adopt.command import adopt_command
from cw_mqtt.commands.common import AS_JSON, FAILED, WRONG, duration, hold_standard_streams, load
from cw_mqtt.commands.discovery import discovery
from cw_mqtt.commands.history import HISTORY
from cw_mqtt.commands.keys import key
from cw_mqtt.commands.packets import PACKETS
from cw_mqtt.commands.users import user
from cw_mqtt.config.load import find_config, format_mistakes, load_settings, warnings
from cw_mqtt.errors import BridgeError, InUseError, SettingsError, UsageError
from cw_mqtt.private_files import make_private


class Commands(click.Group):
    """The group of all commands: turns every error of ours into words and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """See `click.Group.invoke`."""
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            click.echo(format_mistakes(error), err=True)
            ctx.exit(WRONG)
        except (UsageError, InUseError) as error:
            click.echo(f"cw-mqtt: {error}", err=True)
            ctx.exit(WRONG)
        except BridgeError as error:
            click.echo(f"cw-mqtt: {error}", err=True)
            ctx.exit(FAILED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cw-mqtt")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The settings; by default ./config.yaml, then /etc/cw-mqtt/config.yaml.",
)
@click.pass_context
def main(ctx: click.Context, config: Path | None) -> None:
    """Bring CitizenWatt electricity sensors to MQTT, Home Assistant, a database and the web.

    Begin with `cw-mqtt demo`, which needs no sensor. Then write your receiver and your sensors'
    keys into config.yaml, try it with `cw-mqtt check-config`, and start `cw-mqtt run`.
    """
    hold_standard_streams()
    make_private()
    ctx.obj = config


@main.command("run")
@click.option(
    "--demo-when-simulated",
    is_flag=True,
    help="Run the demo if config.yaml names no other receiver than `simulated:`.",
)
@click.pass_obj
def run_command(config: Path | None, *, demo_when_simulated: bool) -> None:
    """Run the bridge until Ctrl+C or SIGTERM.

    It starts in any order with its neighbours: a receiver, broker or database that is away is
    waited for. The page at port 8080 and its /health say how each of them is.
    """
    settings, folder = load(config)
    if demo_when_simulated and all(r.port == "simulated:" for r in settings.receivers):
        from cw_mqtt.commands.demo import run_demo

        run_demo(settings, folder, timedelta())
        return
    from cw_mqtt.run import run

    run(settings, folder, find_config(config))


@main.command("demo")
@click.option("--history", type=duration, default="0s", help="Begin with past measures, as 30d.")
@click.pass_obj
def demo_command(config: Path | None, history: timedelta) -> None:
    """Try everything without a sensor.

    A simulated sensor sends what a real one would, every 8 seconds, through an ordinary serial
    port: one for each in config.yaml, if you have written one. A broker is started if none is
    named there. What the demo keeps is in data/demo, apart from what is real.
    """
    from cw_mqtt.commands.demo import example_settings, run_demo
    from cw_mqtt.runtime.logs import set_up_logs

    try:
        settings, folder = load(config)
    except UsageError:  # nobody has written a config.yaml yet
        settings, folder = example_settings(), Path()
    set_up_logs(settings.logging)
    run_demo(settings, folder, history)


@main.command("check-config")
@AS_JSON
@click.pass_obj
def check_config(config: Path | None, *, as_json: bool) -> None:
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


for command in (*PACKETS, *HISTORY, adopt_command, user, key, discovery):
    main.add_command(command)
