"""The command line: `cw-mqtt COMMAND`.

Exit code 0: done; 1: failed; 2: wrong usage or settings, or in use by another process. What a
command needs is imported in it, so that each starts fast.
"""

import json
import re
import sys
import time
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from cw_mqtt import __version__
from cw_mqtt.config.load import find_config, format_mistakes, load_settings, warnings
from cw_mqtt.config.settings import Settings
from cw_mqtt.errors import BridgeError, InUseError, SettingsError, UsageError

FAILED, WRONG = 1, 2
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Duration(click.ParamType[timedelta]):
    """A time such as 90s, 15m, 12h or 30d."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """See `click.ParamType.convert`."""
        match = re.fullmatch(r"(\d{1,6})([smhd])", str(value))
        if match is None:
            self.fail(f"{value!r}: expected a time such as 90s, 15m, 12h or 30d", param, ctx)
        return timedelta(seconds=int(match[1]) * SECONDS[match[2]])


DURATION = Duration()
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


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
    from cw_mqtt.logs import set_up_logs

    settings, folder = load(config)
    set_up_logs(settings.logging)
    if demo_when_simulated and all(r.port == "simulated:" for r in settings.receivers):
        from cw_mqtt.demo import run_demo

        run_demo(settings, folder, timedelta())
        return
    from cw_mqtt.running import run

    run(settings, folder)


@main.command("demo")
@click.option("--history", type=DURATION, default="0s", help="Begin with past measures, as 30d.")
@click.pass_obj
def demo_command(config: Path | None, history: timedelta) -> None:
    """Try everything without a sensor.

    A simulated sensor sends what a real one would, every 8 seconds, through an ordinary serial
    port. A broker is started if config.yaml names none. What the demo keeps is in data/demo.
    """
    from cw_mqtt.demo import run_demo
    from cw_mqtt.logs import set_up_logs

    settings, folder = load(config)
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
        click.echo(json.dumps({"ok": False, "mistakes": mistakes}))
        sys.exit(WRONG)
    advice = warnings(settings)
    if as_json:
        click.echo(json.dumps({"ok": True, "mistakes": [], "warnings": advice}))
        return
    for text in advice:
        click.echo(f"warning: {text}")
    receivers, sensors = len(settings.receivers), len(settings.sensors)
    click.echo(f"{path} is right: {receivers} receiver(s), {sensors} sensor(s).")


@main.command("decode")
@click.argument("payloads", nargs=-1, required=True, metavar="HEX...")
@AS_JSON
@click.pass_obj
def decode_command(config: Path | None, payloads: tuple[str, ...], *, as_json: bool) -> None:
    """Decrypt packets with the configured keys, and say what each key makes of them.

    HEX is a packet as the receiver hands it over: 32 hex digits, with or without spaces.
    """
    from cw_mqtt.explain import explain_payload

    settings, _ = load(config)
    for text in payloads:
        try:
            payload = bytes.fromhex(text)
        except ValueError:
            payload = b""
        if len(payload) != 16:
            raise UsageError(f"{text!r}: expected 32 hex digits, the 16 bytes of one packet")
        for explained in explain_payload(payload, settings.sensors):
            click.echo(json.dumps(explained.fields()) if as_json else explained.text())


@main.command("record")
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--receiver", help="Which receiver of config.yaml; by default the first.")
@click.option("--duration", type=DURATION, help="End after this time; by default at Ctrl+C.")
@click.pass_obj
def record_command(
    config: Path | None, output: Path, receiver: str | None, duration: timedelta | None
) -> None:
    """Write what a receiver hears into the capture OUTPUT, byte for byte, with times.

    A capture is text. `cw-mqtt replay` reads it, and so does a receiver whose port is
    `replay:OUTPUT`. It holds no key: what is in it stays encrypted.
    """
    from cw_mqtt.logs import set_up_logs
    from cw_mqtt.tools import record

    settings, folder = load(config)
    set_up_logs(settings.logging)
    record(settings, folder, receiver, output, duration)


@main.command("replay")
@click.argument("capture", type=click.Path(path_type=Path))
@AS_JSON
@click.pass_obj
def replay_command(config: Path | None, capture: Path, *, as_json: bool) -> None:
    """Say what the bridge makes of a CAPTURE: every reading, then what was passed over.

    Nothing is stored or published.
    """
    from cw_mqtt.tools import replay

    settings, _ = load(config)
    readings, heard = replay(settings, capture)
    if as_json:
        click.echo(json.dumps({"readings": [asdict(r) for r in readings], "heard": heard}))
        return
    for r in readings:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(r.ts))
        click.echo(f"{at}  {r.sensor:12} {r.power_w:8g} W  {r.battery_mv} mV  {r.verdict}")
    click.echo(json.dumps(heard, indent=2))


@main.command("simulate")
@click.option("--output", type=click.Path(path_type=Path), help="Write a capture instead.")
@click.option("--duration", type=DURATION, default="1h", help="How long the capture is.")
@click.option("--lines", is_flag=True, help="As our receiver's lines, not as raw bursts.")
@click.option("--speed", type=float, default=1.0, help="How many times faster than a sensor.")
@click.pass_obj
def simulate_command(
    config: Path | None, output: Path | None, duration: timedelta, *, lines: bool, speed: float
) -> None:
    """Simulate the configured sensors: on a serial port made for it, or in a capture.

    Without --output a port is opened and named; a bridge whose receiver has that port hears the
    sensors until Ctrl+C.
    """
    from cw_mqtt.tools import simulate_on_port, simulate_to_capture

    settings, _ = load(config)
    if output is None:
        simulate_on_port(settings, speed=speed, lines=lines)
    else:
        simulate_to_capture(settings, output, duration, lines=lines)


@main.group("user")
def user() -> None:
    """Who may log in to the page and call the API."""


@user.command("add")
@click.argument("login")
@click.password_option(help="By default you are asked for it.")
@click.pass_obj
def user_add(config: Path | None, login: str, password: str) -> None:
    """Make a user LOGIN with a password."""
    from cw_mqtt.store.accounts import Accounts
    from cw_mqtt.store.engine import make_engine
    from cw_mqtt.store.schema import bring_up_to_date
    from cw_mqtt.web.auth import hash_password

    settings, _ = load(config)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    engine = make_engine(settings.database, settings.data_dir)
    bring_up_to_date(engine)
    Accounts(engine).add(login, hash_password(password), admin=True)
    click.echo(f"{login} may log in now.")


def load(config: Path | None) -> tuple[Settings, Path]:
    """The settings, and the folder from which paths in them are meant."""
    path = find_config(config)
    return load_settings(path), path.absolute().parent
