"""The command line: `cw-mqtt COMMAND`.

Exit code 0: done; 1: failed; 2: wrong usage or settings, or in use by another process. What a
command needs is imported in it, so that each starts fast.
"""

import json
import os
import re
import sys
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from cw_mqtt import __version__
from cw_mqtt.cli_adopt import adopt_command
from cw_mqtt.cli_common import AS_JSON, load, open_database
from cw_mqtt.cli_history import HISTORY
from cw_mqtt.cli_users import user
from cw_mqtt.config.load import EXAMPLE_KEY, find_config, format_mistakes, load_settings, warnings
from cw_mqtt.errors import BridgeError, InUseError, SettingsError, UsageError

FAILED, WRONG = 1, 2
MOST_TOLD = 20
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


SHARE = click.FloatRange(0, 1)


def duration(text: str) -> timedelta:
    """A time such as 90s, 15m, 12h or 30d, as click asks a type of option for it."""
    match = re.fullmatch(r"(\d{1,5})([smhd])", text, re.ASCII)
    if match is None:
        raise click.BadParameter(f"expected a time such as 90s, 15m, 12h or 30d, got {text!r}")
    return timedelta(seconds=int(match[1]) * SECONDS[match[2]])


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
        from cw_mqtt.tools.demo import run_demo

        run_demo(settings, folder, timedelta())
        return
    from cw_mqtt.running import run, start_again

    if run(settings, folder):
        start_again()


@main.command("demo")
@click.option("--history", type=duration, default="0s", help="Begin with past measures, as 30d.")
@click.pass_obj
def demo_command(config: Path | None, history: timedelta) -> None:
    """Try everything without a sensor.

    A simulated sensor sends what a real one would, every 8 seconds, through an ordinary serial
    port: one for each in config.yaml, if you have written one. A broker is started if none is
    named there. What the demo keeps is in data/demo, apart from what is real.
    """
    from cw_mqtt.logs import set_up_logs
    from cw_mqtt.tools.demo import example_settings, run_demo

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
        click.echo(json.dumps({"ok": False, "mistakes": mistakes, "warnings": []}))
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
    from cw_mqtt.bridge import sensor_keys
    from cw_mqtt.keys import refuse_keys
    from cw_mqtt.tools.explain import explain_payload

    settings, _ = load(config)
    keys = sensor_keys(settings.sensors)
    for number, text in enumerate(payloads, 1):
        try:
            payload = bytes.fromhex(text)
        except ValueError:
            payload = b""
        if len(payload) != 16:  # the text is not shown: it may be a key
            raise UsageError(f"HEX {number}: expected 32 hex digits, the 16 bytes of one packet")
        refuse_keys(payload, keys)
        for explained in explain_payload(payload, keys):
            click.echo(json.dumps(explained.fields()) if as_json else explained.text())


@main.command("analyze")
@click.argument("sources", nargs=-1, metavar="[SOURCE...]")
@click.option("--receiver", help="Which receiver of config.yaml; by default the first.")
@click.option("--duration", type=duration, default="60s", help="How long to listen.")
@click.option("--verbose", is_flag=True, help="Every byte of the first packets under each key.")
@AS_JSON
@click.pass_obj
def analyze_command(
    config: Path | None,
    sources: tuple[str, ...],
    receiver: str | None,
    duration: timedelta,
    *,
    verbose: bool,
    as_json: bool,
) -> None:
    """Say in words and numbers why a sensor is heard, or is not, and what to do.

    SOURCE is a capture (see `record`), packets of 32 hex digits each, or a longer stream of hex
    digits. Without one the receiver's port is listened to, for a minute or until Ctrl+C; stop
    `cw-mqtt run` before, since it holds the port. Tested are: a wrong key, reversed bytes, a
    shifted stream, noise, a stuck radio, damaged lines, another sensor under the same key, the
    published example key. Keys are shown by fingerprints only (see `key fingerprint`).

    Exit code 0: a configured sensor is certainly well; 1: it is not, or that cannot be told yet.
    """
    from cw_mqtt.bridge import sensor_keys
    from cw_mqtt.tools.analysis import analyze
    from cw_mqtt.tools.findings import explain
    from cw_mqtt.tools.report import as_json as report_json
    from cw_mqtt.tools.report import as_text, is_healthy
    from cw_mqtt.tools.sources import hear

    settings, folder = load(config)
    heard = hear(settings, folder, sources, receiver, duration)
    keys = sensor_keys(settings.sensors)
    case = analyze(heard.chunks, keys, heard.form, EXAMPLE_KEY, timed=heard.timed)
    findings = explain(case)
    report = report_json(case, findings)
    click.echo(json.dumps(report) if as_json else as_text(case, findings, verbose=verbose))
    if not is_healthy(findings):
        sys.exit(FAILED)


@main.command("record")
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--receiver", help="Which receiver of config.yaml; by default the first.")
@click.option("--duration", type=duration, help="End after this time; by default at Ctrl+C.")
@click.pass_obj
def record_command(
    config: Path | None, output: Path, receiver: str | None, duration: timedelta | None
) -> None:
    """Write what a receiver hears into the capture OUTPUT, byte for byte, with times.

    A capture is text. `cw-mqtt replay` reads it, and so does a receiver whose port is
    `replay:OUTPUT`. It holds no key: what is in it stays encrypted.
    """
    from cw_mqtt.logs import set_up_logs
    from cw_mqtt.tools.captures import record

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
    from cw_mqtt.tools.captures import replay

    settings, _ = load(config)
    readings, heard = replay(settings, capture)
    if as_json:
        click.echo(json.dumps({"readings": [asdict(r) for r in readings], "heard": heard}))
        return
    for r in readings:
        at = f"{datetime.fromtimestamp(r.ts, settings.timezone):%Y-%m-%d %H:%M:%S}"
        click.echo(f"{at}  {r.sensor:12} {r.power_w:8g} W  {r.battery_mv} mV  {r.verdict}")
    click.echo(json.dumps(heard, indent=2))


@main.command("simulate")
@click.option("--output", type=click.Path(path_type=Path), help="Write a capture instead.")
@click.option(
    "--duration", type=duration, help="End after this time; by default at Ctrl+C, a capture at 1h."
)
@click.option("--lines", is_flag=True, help="As our receiver's lines, not as raw bursts.")
@click.option("--loss", type=SHARE, default=0.0, help="Share of packets lost on the air, as 0.1.")
@click.option("--faults", type=SHARE, default=0.0, help="Share of packets spoilt on the cable.")
@click.option("--attack", is_flag=True, help="Somebody repeats old packets and makes up others.")
@click.pass_obj
def simulate_command(
    config: Path | None, /, output: Path | None, duration: timedelta | None, **trouble: Any
) -> None:
    """Simulate the configured sensors: on a serial port made for it, or in a capture.

    Without --output a port is opened and named; a bridge whose receiver has that port hears the
    sensors. With the troubles of a real house, see what the bridge makes of them:

    cw-mqtt simulate --loss 0.1 --attack --output bad.cwcap && cw-mqtt replay bad.cwcap
    """
    from cw_mqtt.tools.captures import Trouble, simulate_on_port, simulate_to_capture

    settings, _ = load(config)
    if output is None:
        simulate_on_port(settings, duration, Trouble(**trouble))
        return
    an_hour = timedelta(hours=1)
    simulate_to_capture(
        settings, output, an_hour if duration is None else duration, Trouble(**trouble)
    )


main.add_command(adopt_command)
main.add_command(user)


@main.group("rollups")
def rollups() -> None:
    """The sums by quarter hour, hour and day from which long ranges are answered.

    They follow every change of the measures by themselves. Both commands may be used while the
    bridge runs.
    """


@rollups.command("check")
@AS_JSON
@click.pass_obj
def rollups_check(config: Path | None, *, as_json: bool) -> None:
    """Compare all sums with the measures. Exit code 1: some are wrong."""
    from cw_mqtt.model import iso_utc
    from cw_mqtt.tools.audit import Cell, check_rollups
    from cw_mqtt.tools.progress import show_progress

    settings, engine = open_database(config)
    wrong: list[Cell] = []
    show_progress(
        "Comparing", check_rollups(engine, settings.energy.max_gap_s, wrong), hidden=as_json
    )
    if as_json:
        names = ("sensor_id", "seconds", "start_ts")
        click.echo(json.dumps([dict(zip(names, found, strict=True)) for found in wrong]))
    for sensor_id, span_s, start_ts in () if as_json else wrong[:MOST_TOLD]:
        click.echo(f"sensor {sensor_id}: wrong from {iso_utc(start_ts)} for {span_s} s")
    if wrong:
        raise BridgeError(f"wrong sums: {len(wrong)}; cw-mqtt rollups rebuild mends them")
    click.echo("All sums are right.", err=as_json)


@rollups.command("rebuild")
@click.pass_obj
def rollups_rebuild(config: Path | None) -> None:
    """Compute all sums anew from the measures.

    It goes on where it was if it is broken off; the bridge does so too when it starts. Until it
    is done, long ranges are added up from the measures, which takes longer.
    """
    from cw_mqtt.store.rollups import build, forget
    from cw_mqtt.tools.progress import show_progress

    settings, engine = open_database(config)
    forget(engine)
    show_progress("Adding up", build(engine, settings.energy.max_gap_s))
    click.echo("All sums are computed.")


for history_command in HISTORY:
    main.add_command(history_command)


@main.group("key")
def key() -> None:
    """The sensors' keys: make a new one, or compare those in use.

    A key is shown by `key generate` alone, once. Everywhere else it is known by its fingerprint,
    8 hex digits that tell nothing of it.
    """


@key.command("generate")
@click.option("--slug", required=True, help="The sensor's slug in config.yaml, such as main.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the header to a new file.")
def key_generate(slug: str, output: Path | None) -> None:
    """Make a random key: the header for the sensor's sketch, and the line for config.yaml.

    Nothing is changed by it: put both where they belong, as it says. The file written with
    --output can be read by you alone.
    """
    import secrets

    from cw_mqtt.config.values import parse_slug
    from cw_mqtt.keys import config_line, fingerprint, key_header, next_steps

    try:
        parse_slug(slug)
    except ValueError as error:
        raise UsageError(f"--slug: {error}") from error
    new = secrets.token_bytes(16)
    header = key_header(slug, new)
    if output is None:
        click.echo(header)
    else:
        write_secret(output, header)
    click.echo(f"{config_line(new)}\n\nfingerprint: {fingerprint(new)}\n\n{next_steps(slug)}")


@key.command("fingerprint")
@AS_JSON
@click.pass_obj
def key_fingerprint(config: Path | None, *, as_json: bool) -> None:
    """Show the fingerprint of each configured key, to compare it with the one in a sketch."""
    from cw_mqtt.bridge import sensor_keys
    from cw_mqtt.keys import fingerprints

    settings, _ = load(config)
    shown = list(fingerprints(sensor_keys(settings.sensors), EXAMPLE_KEY))
    lines = [json.dumps([asdict(each) for each in shown])] if as_json else [s.text() for s in shown]
    click.echo("\n".join(lines))


@main.group("discovery")
def discovery() -> None:
    """What Home Assistant finds at the broker."""


@discovery.command("cleanup")
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@AS_JSON
@click.pass_obj
def discovery_cleanup(config: Path | None, *, dry_run: bool, as_json: bool) -> None:
    """Remove from the broker what no sensor of config.yaml publishes any more.

    The bridge does that by itself for sensors that are renamed or removed. This is for what it
    cannot know, because its journal was lost or somebody else published under its base topic.
    Topics of other programs are left alone. `cw-mqtt run` may be running.
    """
    from cw_mqtt.tools.cleanup import clean_up

    settings, _ = load(config)
    topics = clean_up(settings, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps({"removed": not dry_run, "topics": topics}))
        return
    for topic in topics:
        click.echo(topic)
    done = "would be removed" if dry_run else "removed"
    click.echo(f"{len(topics)} topic(s) {done}." if topics else "Nothing is left behind.", err=True)


def write_secret(path: Path, text: str) -> None:
    """Write a new file that its owner alone can read. Raises `UsageError` when it exists."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
