"""`cw-mqtt run`: the bridge, until it is stopped."""

from datetime import timedelta
from pathlib import Path

import click

from cw_mqtt.commands.common import load
from cw_mqtt.config.load import find_config
from cw_mqtt.run import run


@click.command("run")
@click.option(
    "--demo-when-simulated",
    is_flag=True,
    help="Run the demo if config.yaml names no other receiver than `simulated:`.",
)
@click.pass_obj
def run_command(config: Path | None, *, demo_when_simulated: bool) -> None:
    """Run the bridge until Ctrl+C or SIGTERM.

    It starts in any order with its neighbours: a receiver, broker or database that is
    unavailable is waited for. The page at port 8080 and its /health say how each of them is.
    """
    settings, folder = load(config)
    if demo_when_simulated and all(r.port == "simulated:" for r in settings.receivers):
        from cw_mqtt.commands.demo import run_demo

        run_demo(settings, folder, timedelta())
        return
    run(settings, folder, find_config(config))
