"""What several commands need."""

from pathlib import Path

import click

from cw_mqtt.config.load import find_config, load_settings
from cw_mqtt.config.settings import Settings
from cw_mqtt.errors import ResourceAwayError

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
