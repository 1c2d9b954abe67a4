"""Named pipes: the 2014 base's radio program writes 16 bytes for each packet into one."""

import os
import stat
from contextlib import suppress
from functools import partial
from pathlib import Path

from cw_mqtt.acquire.line import DescriptorLine, Line
from cw_mqtt.errors import ResourceAwayError, with_remedy

READ_AND_WRITE_BY_GROUP = 0o660


def open_fifo(path: Path) -> Line:
    """Open a named pipe, and make it first if nothing is there.

    It is opened for writing too, so that it does not end when its writer does.
    Raises `ResourceAwayError` when something else is there, or the folder refuses.
    """
    try:
        with suppress(FileExistsError):
            os.mkfifo(path, READ_AND_WRITE_BY_GROUP)
            path.chmod(READ_AND_WRITE_BY_GROUP)  # whatever the umask has left of it
        if not stat.S_ISFIFO(path.stat().st_mode):
            raise ResourceAwayError(
                f"{path} is there, but is no named pipe: move it away, or name another path"
            )
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        raise ResourceAwayError(
            f"cannot open the pipe {path}: {with_remedy(str(error.strerror))}"
        ) from error
    return DescriptorLine(descriptor, str(path), partial(os.close, descriptor))
