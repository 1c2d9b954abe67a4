"""The commands `cw-mqtt discovery ...`: what is left at the broker."""

import json
from pathlib import Path

import click

from cw_mqtt.commands.common import AS_JSON, load


@click.group("discovery")
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
    from cw_mqtt.commands.cleanup import clean_up

    settings, _ = load(config)
    topics = clean_up(settings, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps({"removed": not dry_run, "topics": topics}))
        return
    for topic in topics:
        click.echo(topic)
    done = "would be removed" if dry_run else "removed"
    click.echo(f"{len(topics)} topic(s) {done}." if topics else "Nothing is left behind.", err=True)
