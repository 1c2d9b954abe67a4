"""The commands `cw-mqtt user ...`: users, and the tokens of programs.

They write to the database alone, so that they work while the bridge runs and while it does not.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cw_mqtt.commands.common import AS_JSON, open_database, show
from cw_mqtt.model import iso_utc
from cw_mqtt.records import Role

if TYPE_CHECKING:
    from cw_mqtt.store.users import Accounts, Tokens

ROLE = click.Choice([role.value for role in Role])
PASSWORD = click.password_option(help="By default you are asked for it.")


@click.group("user")
def user() -> None:
    """Who may log in to the page and call the API.

    A role is `read` (see everything) or `write` (also insert and delete measures). What is
    changed here holds in a running bridge from the next request on.
    """


@user.command("add")
@click.argument("login")
@click.option("--role", type=ROLE, default=Role.WRITE.value, show_default=True)
@PASSWORD
@click.pass_obj
def user_add(config: Path | None, login: str, role: str, password: str) -> None:
    """Add a user LOGIN with a password."""
    password_hash = new_hash(login, password)
    accounts(config).add(login, password_hash, Role(role))
    click.echo(f"{login} may log in now.")


@user.command("passwd")
@click.argument("login")
@PASSWORD
@click.pass_obj
def user_passwd(config: Path | None, login: str, password: str) -> None:
    """Give LOGIN another password, and log out all of their browsers."""
    password_hash = new_hash(login, password)
    accounts(config).set_password(login, password_hash)
    click.echo(f"{login} has a new password, and is logged out everywhere.")


@user.command("role")
@click.argument("login")
@click.argument("role", type=ROLE)
@click.pass_obj
def user_role(config: Path | None, login: str, role: str) -> None:
    """Let LOGIN only read, or write as well."""
    give_role(accounts(config), login, role)


@user.command("list")
@AS_JSON
@click.pass_obj
def user_list(config: Path | None, *, as_json: bool) -> None:
    """Show all users and their roles."""
    rows = [{"login": each.login, "role": each.role} for each in accounts(config).all()]
    show(rows, "There is no user yet: cw-mqtt user add NAME", as_json=as_json)


@user.command("remove")
@click.argument("login")
@click.pass_obj
def user_remove(config: Path | None, login: str) -> None:
    """Remove LOGIN; what was measured stays."""
    accounts(config).remove(login)
    click.echo(f"{login} can no longer log in.")


@user.command("sessions")
@click.argument("login")
@click.option("--end", metavar="NUMBER|all", help="Log out of this browser, or of all.")
@AS_JSON
@click.pass_obj
def user_sessions(config: Path | None, login: str, end: str | None, *, as_json: bool) -> None:
    """Show the browsers in which LOGIN is logged in, or end that.

    The last use is given to the day.
    """
    if end is None:
        rows: list[dict[str, str | int]] = [
            {
                "number": each.number,
                "begun": iso_utc(each.begun_ts),
                "last_used": iso_utc(each.used_ts)[:10],
                "address": each.address,
                "browser": each.browser,
            }
            for each in accounts(config).sessions(login)
        ]
        show(rows, f"{login} is not logged in anywhere.", as_json=as_json)
        return
    if end != "all" and not end.isdecimal():
        raise click.BadParameter(f"expected the number of a session, or all; got {end!r}")
    ended = accounts(config).end_sessions(login, None if end == "all" else int(end))
    click.echo(json.dumps({"ended": ended}) if as_json else f"Sessions of {login} ended: {ended}.")


@user.group("token")
def token() -> None:
    """Tokens, for programs: a caller with `Authorization: Bearer TOKEN` needs no password."""


@token.command("add")
@click.argument("name")
@click.option("--role", type=ROLE, default=Role.READ.value, show_default=True)
@AS_JSON
@click.pass_obj
def token_add(config: Path | None, name: str, role: str, *, as_json: bool) -> None:
    """Make a token for the program NAME, and show it: it is stored nowhere."""
    from cw_mqtt.errors import UsageError
    from cw_mqtt.web.credentials import key_hash, new_token

    if not name.isprintable() or not 0 < len(name) <= 255:
        raise UsageError("expected a name of 1 to 255 printable characters")
    new = new_token()
    tokens(config).add(name, key_hash(new), Role(role))
    if as_json:
        click.echo(json.dumps({"name": name, "role": role, "token": new}))
        return
    click.echo(new)
    click.echo(f"Save it now, it is not shown again. {name} may {role} with it.", err=True)


@token.command("list")
@AS_JSON
@click.pass_obj
def token_list(config: Path | None, *, as_json: bool) -> None:
    """Show all tokens: role, creation, and day of the last use."""
    rows = [
        {
            "name": each.name,
            "role": each.role,
            "created": iso_utc(each.created_ts),
            "last_used": None if each.used_ts is None else iso_utc(each.used_ts)[:10],
        }
        for each in tokens(config).all()
    ]
    show(rows, "There is no token yet: cw-mqtt user token add NAME", as_json=as_json)


@token.command("role")
@click.argument("name")
@click.argument("role", type=ROLE)
@click.pass_obj
def token_role(config: Path | None, name: str, role: str) -> None:
    """Let the token of the program NAME only read, or write as well."""
    give_role(tokens(config), name, role)


@token.command("remove")
@click.argument("name")
@click.pass_obj
def token_remove(config: Path | None, name: str) -> None:
    """Revoke the token of the program NAME."""
    tokens(config).remove(name)
    click.echo(f"The token of {name} is no longer valid.")


def new_hash(login: str, password: str) -> str:
    """What to store of a new password. Raises `UsageError` for one that is no good."""
    from cw_mqtt.web.passwords import hash_password, refuse_unusable

    refuse_unusable(login, password)
    return hash_password(password)


def give_role(known: "Accounts | Tokens", name: str, role: str) -> None:
    """Change what one of these users or tokens may do, and say so."""
    known.set_role(name, Role(role))
    click.echo(f"{name} may {role} now.")


def accounts(config: Path | None) -> "Accounts":
    """The users in the configured database."""
    from cw_mqtt.store.users import Accounts

    return Accounts(open_database(config)[1])


def tokens(config: Path | None) -> "Tokens":
    """The tokens in the configured database."""
    from cw_mqtt.store.users import Tokens

    return Tokens(open_database(config)[1])
