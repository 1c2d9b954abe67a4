"""The commands `cw-mqtt key ...`: the sensors' keys."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from cw_mqtt.commands.common import AS_JSON, load, write_secret
from cw_mqtt.config.load import EXAMPLE_KEY
from cw_mqtt.errors import UsageError


@click.group("key")
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

    from cw_mqtt.config.keys import config_line, key_header, next_steps
    from cw_mqtt.config.values import parse_slug
    from cw_mqtt.decode.packets import fingerprint

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
    from cw_mqtt.config.keys import fingerprints, sensor_keys

    settings, _ = load(config)
    shown = list(fingerprints(sensor_keys(settings.sensors), EXAMPLE_KEY))
    lines = [json.dumps([asdict(each) for each in shown])] if as_json else [s.text() for s in shown]
    click.echo("\n".join(lines))
