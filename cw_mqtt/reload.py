"""config.yaml is watched, and each file it names: what is saved is checked whole, then applied."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from cw_mqtt.config.load import format_mistakes, load_settings
from cw_mqtt.config.settings import Settings
from cw_mqtt.errors import BridgeError, ResourceAwayError, SettingsError
from cw_mqtt.journal.journal import Journal
from cw_mqtt.model import Event

log = logging.getLogger(__name__)

# `stat` and no notification: those do not come through a container's mount of a single file.
STAT_EVERY_S = 1.0

Stamp = tuple[int, int, int] | None
Stamps = dict[Path, Stamp]


class SettingsWatch:
    """Has the bridge begin anew when config.yaml has changed and is right (a `stages.Service`).

    The files of secrets count like it, and those of `mqtt.tls`. `tell` takes what happened,
    `begin_anew` the settings to go on with. While a changed file is wrong, the stage waits, and
    its reason has every mistake. It outlives the stages that it ends.
    """

    name = "settings"
    longest_pause_s = 1.0
    when_stuck = "config.yaml cannot be read: see whether its disk fails, or is a network drive"

    def __init__(
        self,
        path: Path,
        settings: Settings,
        tell: Callable[[Event], None],
        begin_anew: Callable[[Settings], None],
    ) -> None:
        self._path = path.absolute()
        self._settings = settings
        self._tell = tell
        self._begin_anew = begin_anew
        self._files = files_of(settings)
        self._taken: Stamps = {}  # a file may have changed since these settings were read
        self._seen: Stamps = {}
        self._told: Stamps = {}
        self._used: Stamps = {}
        self._problem = ""

    def serve(self, stopping: threading.Event, works: Callable[[], None]) -> None:
        """Look at the file each second until `stopping`.

        Raises `ResourceAwayError` while the file is wrong.
        """
        while not stopping.is_set():
            self._look()
            works()
            stopping.wait(STAT_EVERY_S)

    def wake(self) -> None:
        """Nothing to do: `serve` waits for `stopping` itself."""

    def reload(self) -> None:
        """Take the file up as if it had just been saved."""
        self._taken = {}

    def refuse(self, before: Settings, error: BridgeError) -> None:
        """Go on with the settings before: what was to begin could not, until the file changes."""
        self._settings, self._problem = before, refusal(error)
        self._tell(Event("config_refused", time.time(), text=str(error)))

    def _look(self) -> None:
        now = self._stamps()
        if now == self._taken:
            if self._problem:
                raise ResourceAwayError(self._problem)
            return
        if now != self._seen:  # it may still be being written
            self._seen = now
            return
        try:
            new = self._checked()
        except BridgeError as error:
            if isinstance(error, SettingsError):
                self._files |= set(map(Path, error.files))
            self._say("config_refused", self._stamps(), str(error))
            raise ResourceAwayError(refusal(error)) from error
        names = differences(self._settings, new) | self._renewed(new, now)
        changed = ", ".join(sorted(names))
        self._files = files_of(new)
        # a file that is named now for the first time may have changed since it was read
        self._taken = now if self._files <= now.keys() else {}
        self._problem, self._settings = "", new
        if changed:
            log.info("%s: applying %s", self._path, changed)
            self._say("config_reloaded", now, changed)
            self._begin_anew(new)

    def _stamps(self) -> Stamps:
        return {path: stamp(path) for path in (self._path, *self._files)}

    def _renewed(self, new: Settings, now: Stamps) -> set[str]:
        """The files of `mqtt.tls` that are others under their old names."""
        before, self._used = self._used, now
        return {
            name
            for name, path in tls_files(new).items()
            if path in before and path in now and before[path] != now[path]
        }

    def _checked(self) -> Settings:
        """The settings in the file, as far as can be told able to run."""
        settings = load_settings(self._path)
        if settings.data_dir != self._settings.data_dir:
            Journal(settings.data_dir).close()
        return settings

    def _say(self, kind: str, now: Stamps, text: str) -> None:
        """Tell it once for each time that the file was saved."""
        if self._told != now:
            self._told = now
            self._tell(Event(kind, time.time(), text=text))


def refusal(error: BridgeError) -> str:
    """Why a file is not applied, with the place of each mistake."""
    if isinstance(error, SettingsError):
        return format_mistakes(error, "the previous settings stay in use")
    return f"{error}; the previous settings stay in use"


def files_of(settings: Settings) -> set[Path]:
    """Where all that these settings mean is written, config.yaml too."""
    return {*settings.files, *tls_files(settings).values()}


def tls_files(settings: Settings) -> dict[str, Path]:
    """The files of `mqtt.tls` by the names of their settings; the web looks after its own."""
    tls = settings.mqtt.tls if settings.mqtt else None
    files = {"ca": tls.ca, "cert": tls.cert, "key": tls.key} if tls else {}
    return {f"mqtt.tls.{name}": path for name, path in files.items() if path}


def stamp(path: Path) -> Stamp:
    """What changes when a file is saved or replaced; None when it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def differences(old: Settings, new: Settings) -> set[str]:
    """The settings in which two files differ, by name and without their values."""
    before, after = dict(flat(old)), dict(flat(new))
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Each single setting with its name, such as `sensors[main].key`."""
    if isinstance(value, BaseModel):
        for field in type(value).model_fields:
            yield from flat(getattr(value, field), f"{name}.{field}" if name else field)
    elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        for place, each in enumerate(value):
            known_as = getattr(each, "slug", None) or getattr(each, "name", place)
            yield from flat(each, f"{name}[{known_as}]")
    else:
        yield name, str(value) if isinstance(value, ZoneInfo) else value
