"""What several commands need."""

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import accumulate
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

import click

from cw_mqtt.config.load import find_config, load_settings
from cw_mqtt.config.settings import Settings
from cw_mqtt.errors import ResourceAwayError, UsageError, with_remedy
from cw_mqtt.private_files import private_folder
from cw_mqtt.runtime.logs import STANDARD_ERROR

if TYPE_CHECKING:
    from sqlalchemy import Engine

FAILED, WRONG = 1, 2  # exit codes
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
STEPS_OF_A_BAR = 1000
MOST_SHOWN = 20  # of a list that may be long

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def duration(text: str) -> timedelta:
    """A time such as 90s, 15m, 12h or 30d, as click asks a type of option for it."""
    match = re.fullmatch(r"(\d{1,5})([smhd])", text, re.ASCII)
    if match is None:
        raise click.BadParameter(f"expected a time such as 90s, 15m, 12h or 30d, got {text!r}")
    return timedelta(seconds=int(match[1]) * SECONDS[match[2]])


def hold_standard_streams() -> None:
    """Open those that are closed: a file or port with their number would get what is logged."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        os.set_inheritable(number, True)  # noqa: FBT003 - its own way
    os.close(number)


def load(config: Path | None) -> tuple[Settings, Path]:
    """The settings, and the folder from which paths in them are meant."""
    path = find_config(config)
    return load_settings(path), path.absolute().parent


def make_folder(folder: Path) -> None:
    """Make a folder if it is not there. Raises `ResourceAwayError`."""
    try:
        private_folder(folder)
    except OSError as error:
        raise ResourceAwayError(
            f"cannot use the folder {folder}: {with_remedy(str(error.strerror))}"
        ) from error


def open_database(config: Path | None) -> "tuple[Settings, Engine]":
    """The settings and their database, which is made or brought up to date where needed.

    A bridge that runs stores first what waits.
    """
    from cw_mqtt.store.engine import make_engine, patient
    from cw_mqtt.store.flush import request_flush
    from cw_mqtt.store.schema import bring_up_to_date

    settings, _ = load(config)
    make_folder(settings.data_dir)
    engine = patient(make_engine(settings.database, settings.data_dir))
    bring_up_to_date(engine)
    request_flush(settings.data_dir)
    return settings, engine


def write_secret(path: Path, text: str) -> None:
    """Write a new file, whole or not at all, that its owner alone can read.

    Raises `UsageError` when it exists, or cannot be written.
    """
    try:
        # made with the rights of its owner alone
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".new-") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.link(file.name, path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def show(rows: Sequence[Mapping[str, str | int | None]], if_none: str, *, as_json: bool) -> None:
    """Print a table, or JSON for programs."""
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo(if_none)
        return
    lines = [list(rows[0])] + [
        ["never" if value is None else str(value) for value in row.values()] for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(map(str.ljust, line, widths)).rstrip())


def shares_of(total: int, counts: Iterable[int]) -> Iterator[float]:
    """Which share of a total is done after each of these counts."""
    return (min(1.0, done / max(1, total)) for done in accumulate(counts))


def show_progress(label: str, shares: Iterable[float], *, hidden: bool = False) -> None:
    """Work through `shares` of what is to be done, from 0 to 1, with a bar that follows them."""
    with click.progressbar(
        length=STEPS_OF_A_BAR, label=label, file=sys.stderr, hidden=hidden
    ) as bar:
        for share in shares:
            bar.update(max(0, round(share * STEPS_OF_A_BAR) - bar.pos))


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A file to write, readable by its owner alone, that takes its place when all went well.

    Raises `UsageError` when it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            part.unlink()
