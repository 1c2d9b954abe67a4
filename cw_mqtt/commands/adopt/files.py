"""New files that hold secrets: whole or not at all, for their owner alone, and over nothing."""

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from cw_mqtt.errors import UsageError


def both_places(path: Path) -> tuple[Path, Path]:
    """The path, and the one beside it for when it is taken."""
    return path, path.with_name(f"{path.stem}.adopted{path.suffix}")


def place_for(path: Path, text: str | None = None) -> Path:
    """Where to write a text: it is free, or has this very text already.

    Raises `UsageError` when both places are taken.
    """
    for place in both_places(path):
        if not place.exists() or (text is not None and read(place) == text):
            return place
    raise UsageError(
        f"{' and '.join(map(str, both_places(path)))} exist already; move one of them away"
    )


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
