"""`cw-mqtt replay`: what the bridge makes of a capture."""

import json
import tempfile
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from cw_mqtt.acquire.capture import read_capture
from cw_mqtt.bridge.bridge import Bridge
from cw_mqtt.commands.common import AS_JSON, load
from cw_mqtt.config.settings import Settings
from cw_mqtt.journal.journal import Journal
from cw_mqtt.model import Chunk, Reading
from cw_mqtt.runtime.health import Health


@click.command("replay")
@click.argument("capture", type=click.Path(path_type=Path))
@AS_JSON
@click.pass_obj
def replay_command(config: Path | None, capture: Path, *, as_json: bool) -> None:
    """Say what the bridge makes of a CAPTURE: every reading, then what was passed over.

    Nothing is stored or published.
    """
    settings, _ = load(config)
    chunks = list(read_capture(capture))
    readings, heard = replay(settings, chunks, receiver_of(chunks, settings))
    if as_json:
        click.echo(json.dumps({"readings": [asdict(r) for r in readings], "heard": heard}))
        return
    for r in readings:
        at = f"{datetime.fromtimestamp(r.ts, settings.timezone):%Y-%m-%d %H:%M:%S}"
        click.echo(f"{at}  {r.sensor:12} {r.power_w:8g} W  {r.battery_mv} mV  {r.verdict}")
    click.echo(json.dumps(heard, indent=2))


def replay(
    settings: Settings, chunks: Sequence[Chunk], receiver: str
) -> tuple[list[Reading], dict[str, Any]]:
    """Every reading that the bridge makes of a receiver's chunks, and what it passed over.

    They take the ordinary way, with a journal that is thrown away.
    """
    health = Health()
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Journal(Path(folder), durable=False)) as journal,
    ):
        bridge = Bridge(settings, journal, health, deque(maxlen=0))
        bridge.process(replace(chunk, receiver=receiver) for chunk in chunks)
        readings = [entry.reading for entry in journal.readings_after(0, len(chunks) * 256)]
        report = health.report()
    heard = report.get("receivers", {}).get(receiver, {})
    return readings, {"receiver": heard, "sensors": report["sensors"]}


def receiver_of(chunks: Sequence[Chunk], settings: Settings) -> str:
    """The receiver that a capture names if it is in the settings, which may tie sensors to it."""
    known = [each.name for each in settings.receivers]
    return next((chunk.receiver for chunk in chunks if chunk.receiver in known), known[0])
