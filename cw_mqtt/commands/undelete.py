"""`cw-mqtt undelete`: what was deleted over the API, brought back."""

import json
from functools import partial
from pathlib import Path

import click

from cw_mqtt.commands.common import AS_JSON, open_database, show
from cw_mqtt.errors import UsageError
from cw_mqtt.model import iso_utc
from cw_mqtt.records import Deletion
from cw_mqtt.store.deletions import all_deletions, undelete_in_steps
from cw_mqtt.store.engine import transaction


@click.command("undelete")
@click.argument("number", type=int, required=False)
@click.option("--list", "is_list", is_flag=True, help="Show what can be brought back.")
@AS_JSON
@click.pass_obj
def undelete_command(
    config: Path | None, number: int | None, *, is_list: bool, as_json: bool
) -> None:
    """Bring back what was deleted over the API, by its NUMBER in the list.

    Deleted measures are kept for 30 days. They come back with their ids, and the sums follow at
    once. The bridge may run meanwhile. If it is interrupted, start it again.
    """
    if is_list == (number is not None):
        raise UsageError("expected either --list, or the NUMBER of a deletion")
    settings, engine = open_database(config)
    if number is None:
        show(
            list(map(_row_of, all_deletions(engine))),
            "Nothing was deleted over the API in the last 30 days.",
            as_json=as_json,
        )
        return
    steps = undelete_in_steps(partial(transaction, engine), number, settings.energy.max_gap_s)
    came = sum(steps)
    left = {each.number: each.measures for each in all_deletions(engine)}.get(number, 0)
    if as_json:
        click.echo(json.dumps({"number": number, "measures": came, "left": left}))
        return
    click.echo(f"Measures that are back: {came:,}.")
    if left:
        click.echo(f"Not back: {left:,}; they are older than keep_measures.")


def _row_of(deletion: Deletion) -> dict[str, str | int]:
    return {
        "number": deletion.number,
        "deleted": iso_utc(deletion.at_ts),
        "by": deletion.by.name,
        "address": deletion.by.address,
        "sensor": deletion.sensor_id,
        "from": iso_utc(deletion.first_ts),
        "to": iso_utc(deletion.last_ts),
        "measures": deletion.measures,
    }
