"""What callers change is told: in the log, and as an event over MQTT."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from cw_mqtt.model import Event, iso_utc
from cw_mqtt.records import Author, Deletion

log = logging.getLogger(__name__)

TOGETHER_S = 60.0

Key = tuple[str, str]  # an author's name, and the type of the event


@dataclass(frozen=True, slots=True)
class Change:
    """One call, or several of one author, that inserted or deleted measures."""

    by: Author
    sensor_ids: frozenset[int]
    measures: int
    first_ts: int
    last_ts: int
    deletions: tuple[int, ...] = ()
    calls: int = 1

    def __add__(self, later: "Change") -> "Change":
        """Both as one."""
        return Change(
            later.by,
            self.sensor_ids | later.sensor_ids,
            self.measures + later.measures,
            min(self.first_ts, later.first_ts),
            max(self.last_ts, later.last_ts),
            (self.deletions + later.deletions)[:2],  # whether there is more than one
            self.calls + later.calls,
        )

    def text(self, done: str) -> str:
        """All that is known of it, in one line."""
        measures = f"{self.measures:,} measure{'s' * (self.measures != 1)}"
        sensors = f"sensor{'s' * (len(self.sensor_ids) != 1)} "
        sensors += ", ".join(map(str, sorted(self.sensor_ids)))
        calls = f" in {self.calls:,} calls" if self.calls > 1 else ""
        which = str(self.deletions[0]) if len(self.deletions) == 1 else "--list"
        remedy = f"; to bring them back: cw-mqtt undelete {which}" if self.deletions else ""
        return (
            f"{self.by.name} ({self.by.address}) {done} {measures} of {sensors}{calls}, "
            f"from {iso_utc(self.first_ts)} to {iso_utc(self.last_ts)}{remedy}"
        )


class Changes:
    """Tells each author's change at once, and those in the minute after it together.

    For any thread; `look` is to be called every few seconds. `tell` takes the events.
    """

    def __init__(
        self,
        tell: Callable[[Event], None],
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._waiting: dict[Key, Change | None] = {}
        self._until_s: dict[Key, float] = {}

    def deleted(self, deletion: Deletion) -> None:
        """Measures are deleted."""
        times = deletion.first_ts, deletion.last_ts
        sensors, numbers = frozenset({deletion.sensor_id}), (deletion.number,)
        change = Change(deletion.by, sensors, deletion.measures, *times, numbers)
        self._take("measures_deleted", change)

    def inserted(self, by: Author, sensor_id: int, ts: int) -> None:
        """A measure is inserted."""
        self._take("measures_inserted", Change(by, frozenset({sensor_id}), 1, ts, ts))

    def look(self) -> None:
        """Tell what has waited for long enough."""
        now_s = self._monotonic()
        self._tell_waiting([key for key, s in list(self._until_s.items()) if s <= now_s])

    def tell_rest(self) -> None:
        """Tell all that waits."""
        self._tell_waiting(list(self._until_s))

    def _take(self, kind: str, change: Change) -> None:
        key = change.by.name, kind
        with self._lock:
            if key in self._until_s:
                waiting = self._waiting.get(key)
                self._waiting[key] = waiting + change if waiting else change
                return
            self._until_s[key] = self._monotonic() + TOGETHER_S
        self._say(kind, change)

    def _tell_waiting(self, keys: list[Key]) -> None:
        for key in keys:
            with self._lock:
                change = self._waiting.pop(key, None)
                if change:
                    self._until_s[key] = self._monotonic() + TOGETHER_S
                else:
                    self._until_s.pop(key, None)
            if change:
                self._say(key[1], change)

    def _say(self, kind: str, change: Change) -> None:
        text = change.text(kind.removeprefix("measures_"))
        log.info("%s", text)
        self._tell(Event(kind, self._clock(), text=text))
