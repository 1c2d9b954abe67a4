"""Files that nobody else on this computer may read: measures, keys and hashes are in them."""

import os
import stat
from contextlib import suppress
from pathlib import Path

OURS = ("citizenwatt.sqlite", "journal.", "heard.", "database.flush")
DEMO = "demo"
OTHERS = 0o077


def make_private() -> None:
    """Let what this process makes from now on be read by its own user alone."""
    os.umask(OTHERS)


def private_folder(folder: Path) -> None:
    """Make the folder for our files, or close it and those in it to all but their owner.

    It stays open where others have something in it. Raises `OSError`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries = list(folder.iterdir())
    for path in entries:
        if path.name.startswith(OURS):
            close_to_others(path)
    if all(path.name.startswith((*OURS, DEMO)) or is_own_file(path) for path in entries):
        close_to_others(folder)


def is_own_file(path: Path) -> bool:
    """Whether it is an ordinary file of this user."""
    found = path.lstat()
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()


def close_to_others(path: Path) -> None:
    """Take the rights of group and others away, if it is ours and the file system knows them."""
    found = path.lstat()
    is_ours = found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode)
    if is_ours and found.st_mode & OTHERS and not found.st_mode & stat.S_ISVTX:
        with suppress(OSError):
            path.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)


def is_read_by_all(path: Path) -> bool:
    """Whether every user of this computer can read a file; not one below a closed folder."""
    try:
        path = path.resolve(strict=True)
        may_read = path.stat().st_mode & stat.S_IROTH
        return bool(may_read) and all(p.stat().st_mode & stat.S_IXOTH for p in path.parents)
    except OSError:
        return False
