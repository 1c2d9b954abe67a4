"""config.yaml is watched: a saved file is checked whole, then taken up or refused."""

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
from cw_mqtt.journal import Journal
from cw_mqtt.model import Event

log = logging.getLogger(__name__)

# `stat` and no notification: those do not come through a container's mount of a single file.
LOOK_EVERY_S = 1.0

Stamp = tuple[int, int, int] | None


class SettingsWatch:
    """Has the bridge begin anew when config.yaml has changed and is right (a `stages.Service`).

    `tell` takes what happened, `begin_anew` the settings to go on with. While a changed file is
    wrong, the stage waits, and its reason has every mistake. It outlives the stages that it ends.
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
        self._taken: Stamp = None  # the file may have changed since these settings were read
        self._seen: Stamp = None
        self._told: Stamp = None
        self._problem = ""

    def serve(self, stopping: threading.Event, works: Callable[[], None]) -> None:
        """Look at the file each second until `stopping`.

        Raises `ResourceAwayError` while the file is wrong.
        """
        while not stopping.is_set():
            self._look()
            works()
            stopping.wait(LOOK_EVERY_S)

    def wake(self) -> None:
        """Nothing to do: `serve` waits for `stopping` itself."""

    def reload(self) -> None:
        """Take the file up as if it had just been saved."""
        self._taken = None

    def refuse(self, before: Settings, error: BridgeError) -> None:
        """Go on with the settings before: what was to begin could not, until the file changes."""
        self._settings, self._problem = before, refusal(error)
        self._tell(Event("config_refused", time.time(), text=str(error)))

    def _look(self) -> None:
        now = stamp(self._path)
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
            self._say("config_refused", now, str(error))
            raise ResourceAwayError(refusal(error)) from error
        changed = ", ".join(sorted(differences(self._settings, new)))
        self._taken, self._problem, self._settings = now, "", new
        if changed:
            log.info("%s: taking up %s", self._path, changed)
            self._say("config_reloaded", now, changed)
            self._begin_anew(new)

    def _checked(self) -> Settings:
        """The settings in the file, as far as can be told able to run."""
        settings = load_settings(self._path)
        if settings.data_dir != self._settings.data_dir:
            Journal(settings.data_dir).close()
        return settings

    def _say(self, kind: str, now: Stamp, text: str) -> None:
        """Tell it once for each time that the file was saved."""
        if self._told != now:
            self._told = now
            self._tell(Event(kind, time.time(), text=text))


def refusal(error: BridgeError) -> str:
    """Why a file is not taken up, with the place of each mistake."""
    if isinstance(error, SettingsError):
        return format_mistakes(error, "the old settings go on")
    return f"{error}; the old settings go on"


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
