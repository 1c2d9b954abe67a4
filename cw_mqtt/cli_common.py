"""What several commands need."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cw_mqtt.config.load import find_config, load_settings
from cw_mqtt.config.settings import Settings
from cw_mqtt.errors import ResourceAwayError

if TYPE_CHECKING:
    from sqlalchemy import Engine

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def load(config: Path | None) -> tuple[Settings, Path]:
    """The settings, and the folder from which paths in them are meant."""
    path = find_config(config)
    return load_settings(path), path.absolute().parent


def make_folder(folder: Path) -> None:
    """Make a folder if it is not there. Raises `ResourceAwayError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceAwayError(f"cannot use the folder {folder}: {error.strerror}") from error


def open_database(config: Path | None) -> "tuple[Settings, Engine]":
    """The settings and their database, which is made or brought up to date where needed."""
    from cw_mqtt.store.engine import make_engine
    from cw_mqtt.store.schema import bring_up_to_date

    settings, _ = load(config)
    make_folder(settings.data_dir)
    engine = make_engine(settings.database, settings.data_dir)
    bring_up_to_date(engine)
    return settings, engine
