"""A real Mosquitto for one test."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from tests.missing import MOSQUITTO, needed
from tests.program import Program, free_port

# `user root` keeps a Mosquitto started by root from becoming another user, who could not read
# the test's folder; for anybody else it has no effect.
CONFIGURATION = """\
listener {port} {host}
user root
{settings}
"""
ANONYMOUS = ("allow_anonymous true", "persistence false")


class Broker(Program):
    """A Mosquitto; with no other settings, for anybody, and it forgets everything when it ends.

    Skips the test where there is none, see `needed`.
    """

    def __init__(self, folder: Path, settings: Sequence[str] = ANONYMOUS) -> None:
        mosquitto, port = needed("mosquitto", MOSQUITTO), free_port()
        configuration = folder / "mosquitto.conf"
        configuration.write_text(
            CONFIGURATION.format(port=port, host=self.host, settings="\n".join(settings))
        )
        super().__init__([mosquitto, "-v", "-c", configuration], folder, port)

    def save(self) -> None:
        """Have it write its store, which a later power cut leaves as it is then."""
        os.kill(self.pid, signal.SIGUSR1)

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        self._end(signal.SIGKILL)
