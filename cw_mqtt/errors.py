"""Every error raised on purpose: one class per who must act."""

from dataclasses import dataclass

# What the system or a library says -> what its reader can do.
REMEDIES = {
    "password authentication failed": "check the user in database.url and database.password",
    "no password supplied": "set database.password",
    "no pg_hba.conf entry": "let this machine and user in, in the server's pg_hba.conf",
    "does not exist": "create it, or correct database.url",
    "must be owner of": "make the user in database.url the owner of the tables",
    "permission denied": "give the user in database.url the right to use it",
    "refused": "is the server running there, and does it listen on that address?",
    "could not translate host name": "check the host in database.url, and this computer's DNS",
    "No route to host": "check the host in database.url, and the network",
    "no answer for": "the server is frozen or not reachable: check its disk and the network",
    "statement timeout": "the server took too long: ask for less, or check its load and its disk",
    "interrupted": "it took too long, or nobody waited for the answer; ask for less",
    "lock timeout": "another program locks the tables: pg_stat_activity shows which",
    "too many clients": "close other programs' connections, or raise the server's max_connections",
    "connection slots are reserved": "close other programs' connections, or raise max_connections",
    "read-only transaction": "this server is a read-only replica; use the primary",
    "terminating connection": "an administrator of the server closed the connection",
    "starting up": "it is starting; wait a moment",
    "shutting down": "start it again",
    "could not extend file": "free space on the server's disk",
    "could not write": "see the server's disk",
    "unable to open database file": "check that data_dir exists and may be written",
    "no such table": "its file was deleted or replaced; it is filled again from the journal",
    "readonly database": "check that data_dir may be written, and that its disk is not read-only",
    "database is locked": "another program holds it in a transaction; stop that program",
    "malformed": "{damaged}",
    "not a database": "{damaged}",
    "disk is full": "free space on the disk of data_dir",
    "disk I/O error": "the disk or its file system fails: see dmesg, and make a backup",
    "No space left": "free space on that disk",
    "Disk quota exceeded": "free space, or raise the quota",
    "File too large": "free space, or raise the limit on the size of files",
    "Read-only file system": "see dmesg why it became so, and mount it for writing again",
    "Input/output error": "the disk or its file system fails: see dmesg, and make a backup",
    "Permission denied": "let the user who runs this read and write it",
    "Too many open files": "raise the limit on open files (LimitNOFILE under systemd)",
}
DAMAGED = (
    "it is damaged: stop the bridge, move the file away with those beside it (-wal, -shm), and "
    "bring back a backup with cw-mqtt restore; without one, start the bridge: a new database is "
    "filled with the last seven days from the journal"
)


def with_remedy(said: str) -> str:
    """What the system or a library says, and what can be done about it if we know."""
    remedy = next((remedy for part, remedy in REMEDIES.items() if part in said), None)
    return f"{said}; {remedy.format(damaged=DAMAGED)}" if remedy else said


class BridgeError(Exception):
    """Root of all errors of the bridge; its text is written for the person who must act."""


class ResourceAwayError(BridgeError):
    """A port, broker, disk or database is unavailable: nobody's fault, opened again later."""


class BusyError(BridgeError):
    """Too many ask at once; who asked tries again in a moment."""


class InUseError(BridgeError):
    """Another process holds what only one may hold (the journal, a port); says who."""


class UsageError(BridgeError):
    """The command or a file it was given cannot be used; the user mends it. Exit code 2."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a settings file.

    `line` and `column` count from 1; both are None when no place can be named (a missing file).
    `setting` is the path within the file, such as `sensors[0].key`. No text holds a secret.
    """

    file: str
    line: int | None
    column: int | None
    setting: str
    problem: str
    source_line: str = ""
    width: int = 1


class SettingsError(BridgeError):
    """The settings cannot be used; carries every mistake at once, for the user to mend.

    `files` are those that were read for them, or should have been.
    """

    def __init__(self, mistakes: tuple[Mistake, ...], files: tuple[str, ...] = ()) -> None:
        super().__init__("; ".join(f"{m.setting}: {m.problem}" for m in mistakes))
        self.mistakes = mistakes
        self.files = files
