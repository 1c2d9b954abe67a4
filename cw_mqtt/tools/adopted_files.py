"""New files that hold secrets: whole or not at all, for their owner alone, and over nothing."""

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from cw_mqtt.errors import UsageError

BESIDE = "adopted"


def place_for(path: Path, text: str | None = None) -> Path:
    """The path, or one beside it where it is taken by another text; None is taken by any.

    Raises `UsageError` when both are taken.
    """
    places = (path, path.with_name(f"{path.stem}.{BESIDE}{path.suffix}"))
    for each in places:
        if not each.exists() or (text is not None and read(each) == text):
            return each
    raise UsageError(f"{places[0]} and {places[1]} exist already; move one of them away")


def read(path: Path) -> str:
    """The text of a file, as far as it is one; empty when it cannot be read."""
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there. Raises `UsageError` when it is, or cannot be written."""
    try:
        # made with the rights of its owner alone
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".new-") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.link(file.name, path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
