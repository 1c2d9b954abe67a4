"""The command line: `cw-mqtt COMMAND`. One file here is one command, imported when it is called.

Exit code 0: done; 1: failed; 2: wrong usage or settings, or in use by another process.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import click

from cw_mqtt import __version__
from cw_mqtt.commands.common import FAILED, WRONG, hold_standard_streams
from cw_mqtt.config.load import format_mistakes
from cw_mqtt.errors import BridgeError, InUseError, SettingsError, UsageError
from cw_mqtt.private_files import make_private

# where each command is, and what the list of all says of it
COMMANDS = {
    "run": ("run:run_command", "Run the bridge until Ctrl+C or SIGTERM."),
    "demo": ("demo:demo_command", "Try everything without a sensor."),
    "check-config": (
        "check_config:check_config_command",
        "Say whether config.yaml is right, or every mistake in it.",
    ),
    "decode": ("decode:decode_command", "Say what each key makes of a packet."),
    "analyze": (
        "analyze.command:analyze_command",
        "Say why a sensor is heard, or is not, and what to do.",
    ),
    "record": ("record:record_command", "Write what a receiver hears into a capture."),
    "replay": ("replay:replay_command", "Say what the bridge makes of a capture."),
    "simulate": (
        "simulate:simulate_command",
        "Simulate the sensors, on a serial port or in a capture.",
    ),
    "user": ("user:user", "Who may log in to the page and call the API."),
    "key": ("key:key", "Make a sensor's key, or compare those in use."),
    "adopt": ("adopt.command:adopt_command", "Take over the database of an old CitizenWatt base."),
    "export": ("export:export_command", "Write measures, or energy and cost by period."),
    "import": ("import_:import_command", "Add the measures of a file, without duplicates."),
    "backup": ("backup:backup_command", "Write database and journal into a file."),
    "restore": ("restore:restore_command", "Fill the database with a backup."),
    "undelete": ("undelete:undelete_command", "Bring back what was deleted over the API."),
    "rollups": ("rollups:rollups", "Check or rebuild the sums of long ranges."),
    "discovery": ("discovery:discovery", "See or remove what Home Assistant finds at the broker."),
}


class Commands(click.Group):
    """The group of all commands: turns every error of ours into words and an exit code."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """See `click.Group.list_commands`."""
        return sorted(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See `click.Group.get_command`."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"cw_mqtt.commands.{module}"), name)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See `click.Group.format_commands`; nothing is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in sorted(COMMANDS)])

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
    help="The settings file; by default ./config.yaml, then /etc/cw-mqtt/config.yaml.",
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
