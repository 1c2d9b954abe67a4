"""Real server programs on free ports, which tests may stop and start again."""

import shutil
import signal
import socket
import subprocess
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.waiting import DEADLINE_S, wait_until

HOST = "127.0.0.1"
HELD_PORTS = 100  # more than one test asks for

_held: deque[socket.socket] = deque()


def free_port() -> int:
    """A TCP port that nobody listens on, and that the system gives to nobody else meanwhile.

    A socket that is bound and does not listen holds it. Who wants just this port, as servers do
    with SO_REUSEADDR, may have it all the same.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((HOST, 0))
    _held.append(holder)
    if len(_held) > HELD_PORTS:
        _held.popleft().close()
    return int(holder.getsockname()[1])


class Program:
    """A server on one port, which stays the same when it is stopped and started again.

    `folder` gets its log; `run_as` are the arguments of `Popen` that name another user.
    `exit_code` is that of its last end.
    """

    host = HOST
    stop_signal = signal.SIGTERM

    def __init__(
        self, command: Sequence[str | Path], folder: Path, port: int, **run_as: Any
    ) -> None:
        self.port = port
        self.log_file = folder / "log"
        self.exit_code: int | None = None
        self.command = [*self._leash(), *map(str, command)]
        self._run_as = {"cwd": folder, "start_new_session": True, **run_as}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; does nothing when it runs.

        Raises `AssertionError` with its log when it does not.
        """
        if self.is_running:
            return
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._run_as
            )
        wait_until(lambda: self._ended() or self.answers())
        assert not self._ended(), self.log_file.read_text()

    @property
    def is_running(self) -> bool:
        """Whether it has been started and has not ended."""
        return not self._ended()

    @property
    def pid(self) -> int:
        """The number of its process, which must run."""
        assert self._process
        return self._process.pid

    def stop(self) -> None:
        """Ask it to end, and wait until it has; does nothing when it does not run."""
        self._end(self.stop_signal)

    def answers(self) -> bool:
        """Whether a client can connect."""
        with socket.socket() as client:
            return client.connect_ex((self.host, self.port)) == 0

    def _leash(self) -> list[str]:
        """What makes the program end with the tests, also when they are killed."""
        setpriv = shutil.which("setpriv")
        return [setpriv, "--pdeathsig", self.stop_signal.name, "--"] if setpriv else []

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _end(self, number: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(number)
            self.exit_code = self._process.wait(DEADLINE_S)
            self._process = None
