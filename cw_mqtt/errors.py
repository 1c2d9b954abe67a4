"""Every error raised on purpose: one class per who must act."""

from dataclasses import dataclass


class BridgeError(Exception):
    """Root of all errors of the bridge; its text is written for the person who must act."""


class ResourceAwayError(BridgeError):
    """A port, broker, disk or database is away: nobody's fault, opened again later."""


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
    """The settings cannot be used; carries every mistake at once, for the user to mend."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("; ".join(f"{m.setting}: {m.problem}" for m in mistakes))
        self.mistakes = mistakes
