"""The command `cw-mqtt adopt`."""

from pathlib import Path

import click

from cw_mqtt.commands.common import AS_JSON


@click.command("adopt")
@click.option(
    "--database",
    metavar="URL",
    help="The old base's database, as postgresql://user@host/database. By default what "
    "--old-config says. Also the path of a SQLite file, to copy it with --to.",
)
@click.option(
    "--old-config",
    type=click.Path(path_type=Path),
    help="The old base's settings, usually ~/.config/citizenwatt/config.json: they have the "
    "database with its password, and the port of the page.",
)
@click.option(
    "--to",
    metavar="PLACE",
    help="Copy everything there and leave the old base as it is: an empty PostgreSQL database's "
    "URL, or a SQLite file such as data/citizenwatt.sqlite.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@AS_JSON
@click.pass_obj
def adopt_command(
    config: Path | None,
    database: str | None,
    old_config: Path | None,
    to: str | None,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Take over the database of an old CitizenWatt base: all measures, sensors, prices, users.

    Says first what is there and what it would do, with a command for a backup, and asks. Stop
    the old base before. Then either

    \b
    cw-mqtt adopt --old-config ~/.config/citizenwatt/config.json
    cw-mqtt adopt --database postgresql://citizenwatt@localhost/citizenwatt

    opens the database in place: every row and number stays, columns that overflow one day
    are widened and tables of ours are added. With --to it is copied and stays as it is. In both
    cases a config.yaml with the sensors and their keys is written; one that exists is left
    alone, and the new one is written beside it. With --json it acts only if there is --yes.

    It may be broken off at any moment and run again. A password is best left out of the URL: it
    is taken from --old-config or the variable PGPASSWORD, or asked for. docs/adopt.md says more,
    the way back too.
    """
    from cw_mqtt.commands.adopt.conversation import Request, adopt

    request = Request(config or Path("config.yaml"), database, old_config, to)
    adopt(request, yes=yes, as_json=as_json)
