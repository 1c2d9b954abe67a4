"""What is said of the bridge's state: `/health`, the MQTT health topic and the page read it."""

import resource
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cw_mqtt import __version__
from cw_mqtt.model import iso_utc
from cw_mqtt.runtime.clock import steady_s

Figure = int | float | str | None


@dataclass(frozen=True, slots=True)
class StageHealth:
    """`state` is working, waiting or stopped; `reason` says in words why it is not working.

    `faults` is how often it failed since it last worked for a while.
    """

    state: str
    since_ts: float
    reason: str | None = None
    faults: int = 0


class Health:
    """Stage states, counters and figures of a running bridge; every method is thread-safe.

    A figure has a path, such as `("receivers", "hall", "bytes")`, which is its place in the
    report. Instants are kept by the steady clock: a clock that is set later changes them too.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady_s,
    ) -> None:
        self._clock = clock
        self._steady = steady
        self._started_s = steady()
        self._lock = threading.Lock()
        self._stages: dict[str, StageHealth] = {}
        self._since_s: dict[str, float] = {}
        self._figures: dict[tuple[str, ...], Figure] = {}
        self._askers: dict[tuple[str, ...], Callable[[], Any]] = {}

    @property
    def started(self) -> str:
        """When the bridge was started."""
        return iso_utc(self._at(self._started_s))

    def working(self, stage: str) -> None:
        """The stage's resource is usable."""
        self._set_stage(stage, "working", None)

    def waiting(self, stage: str, reason: str, faults: int = 0) -> None:
        """The stage's resource is unavailable; `reason` is for the reader, without secrets."""
        self._set_stage(stage, "waiting", reason, faults)

    def stopped(self, stage: str, reason: str | None = None) -> None:
        """The stage has ended, for a reason unless it was asked to."""
        self._set_stage(stage, "stopped", reason)

    def count(self, *path: str, by: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            value = self._figures.get(path, 0)
            self._figures[path] = (value if isinstance(value, int) else 0) + by

    def show(self, *path: str, value: Figure) -> None:
        """Set a figure or a text."""
        with self._lock:
            self._figures[path] = value

    def ask(self, *path: str, answer: Callable[[], Any]) -> None:
        """Call `answer` at each report; it returns what JSON can hold."""
        self._askers[path] = answer

    def stages(self) -> Mapping[str, StageHealth]:
        """The state of each stage, in the order in which they first reported."""
        with self._lock:
            return {
                name: replace(stage, since_ts=self._at(self._since_s[name]))
                for name, stage in self._stages.items()
            }

    def report(self) -> dict[str, Any]:
        """Everything, as JSON can hold it; `status` is ok when every stage works."""
        stages = self.stages()
        with self._lock:
            figures = dict(self._figures)
        figures |= {path: answer() for path, answer in self._askers.items()}
        ok = all(stage.state == "working" for stage in stages.values())
        report: dict[str, Any] = {
            "status": "ok" if ok else "degraded",
            "version": __version__,
            "started": self.started,
            "stages": {
                name: {
                    "state": s.state,
                    "since": iso_utc(s.since_ts),
                    "reason": s.reason,
                    "faults": s.faults,
                }
                for name, s in stages.items()
            },
            "rss_mb": round(resident_mb(), 1),
        }
        for path, figure in figures.items():
            place = report
            for name in path[:-1]:
                place = place.setdefault(name, {})
            place[path[-1]] = figure
        return report

    def _set_stage(self, name: str, state: str, reason: str | None, faults: int = 0) -> None:
        with self._lock:
            before = self._stages.get(name)
            if not before or before.state != state:
                self._since_s[name] = self._steady()
            self._stages[name] = StageHealth(state, 0.0, reason, faults)

    def _at(self, seconds: float) -> float:
        return self._clock() - (self._steady() - seconds)


def resident_mb() -> float:
    """Resident memory of this process in MB; where the system does not say, the highest so far."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * resource.getpagesize() / 1e6
