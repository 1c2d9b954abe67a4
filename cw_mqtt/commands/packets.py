"""The commands that look at packets: `decode`, `analyze`, `record`, `replay`, `simulate`."""

import json
import sys
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from cw_mqtt.commands.common import AS_JSON, FAILED, duration, load
from cw_mqtt.config.load import EXAMPLE_KEY
from cw_mqtt.errors import UsageError

SHARE = click.FloatRange(0, 1)


@click.command("decode")
@click.argument("payloads", nargs=-1, required=True, metavar="HEX...")
@AS_JSON
@click.pass_obj
def decode_command(config: Path | None, payloads: tuple[str, ...], *, as_json: bool) -> None:
    """Decrypt packets with the configured keys, and say what each key makes of them.

    HEX is a packet as the receiver hands it over: 32 hex digits, with or without spaces.
    """
    from cw_mqtt.commands.analyze.explain import explain_payload
    from cw_mqtt.decode.keys import refuse_keys, sensor_keys

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


@click.command("analyze")
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
    from cw_mqtt.commands.analyze.analysis import analyze
    from cw_mqtt.commands.analyze.findings import explain
    from cw_mqtt.commands.analyze.report import as_json as report_json
    from cw_mqtt.commands.analyze.report import as_text, is_healthy
    from cw_mqtt.commands.analyze.sources import hear
    from cw_mqtt.decode.keys import sensor_keys

    settings, folder = load(config)
    heard = hear(settings, folder, sources, receiver, duration)
    keys = sensor_keys(settings.sensors)
    case = analyze(heard.chunks, keys, heard.form, EXAMPLE_KEY, timed=heard.timed)
    findings = explain(case)
    report = report_json(case, findings)
    click.echo(json.dumps(report) if as_json else as_text(case, findings, verbose=verbose))
    if not is_healthy(findings):
        sys.exit(FAILED)


@click.command("record")
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
    from cw_mqtt.commands.captures import record
    from cw_mqtt.runtime.logs import set_up_logs

    settings, folder = load(config)
    set_up_logs(settings.logging)
    record(settings, folder, receiver, output, duration)


@click.command("replay")
@click.argument("capture", type=click.Path(path_type=Path))
@AS_JSON
@click.pass_obj
def replay_command(config: Path | None, capture: Path, *, as_json: bool) -> None:
    """Say what the bridge makes of a CAPTURE: every reading, then what was passed over.

    Nothing is stored or published.
    """
    from cw_mqtt.commands.captures import replay

    settings, _ = load(config)
    readings, heard = replay(settings, capture)
    if as_json:
        click.echo(json.dumps({"readings": [asdict(r) for r in readings], "heard": heard}))
        return
    for r in readings:
        at = f"{datetime.fromtimestamp(r.ts, settings.timezone):%Y-%m-%d %H:%M:%S}"
        click.echo(f"{at}  {r.sensor:12} {r.power_w:8g} W  {r.battery_mv} mV  {r.verdict}")
    click.echo(json.dumps(heard, indent=2))


@click.command("simulate")
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
    from cw_mqtt.commands.captures import Trouble, simulate_on_port, simulate_to_capture

    settings, _ = load(config)
    if output is None:
        simulate_on_port(settings, duration, Trouble(**trouble))
        return
    an_hour = timedelta(hours=1)
    simulate_to_capture(
        settings, output, an_hour if duration is None else duration, Trouble(**trouble)
    )


PACKETS = (decode_command, analyze_command, record_command, replay_command, simulate_command)
