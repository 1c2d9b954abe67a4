"""A real Mosquitto for one test."""

import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from tests.program import Program, free_port

# `user root` keeps a Mosquitto started by root from becoming another user, who could not read
# the test's folder; for anybody else it has no effect.
CONFIGURATION = """\
listener {port} {host}
user root
{settings}
"""
ANONYMOUS = ("allow_anonymous true", "persistence false")


def find_mosquitto() -> str | None:
    """Where Mosquitto is; Debian puts it where ordinary users do not look."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin")


class Broker(Program):
    """A Mosquitto; with no other settings, for anybody, and it forgets everything when it ends."""

    def __init__(self, mosquitto: str, folder: Path, settings: Sequence[str] = ANONYMOUS) -> None:
        port = free_port()
        configuration = folder / "mosquitto.conf"
        configuration.write_text(
            CONFIGURATION.format(port=port, host=self.host, settings="\n".join(settings))
        )
        super().__init__([mosquitto, "-v", "-c", configuration], folder, port)

    def save(self) -> None:
        """Have it write its store, which a later power cut leaves as it is then."""
        os.kill(self.pid, signal.SIGUSR1)

    def reload(self) -> None:
        """Have it read its passwords again."""
        os.kill(self.pid, signal.SIGHUP)

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        self._end(signal.SIGKILL)
