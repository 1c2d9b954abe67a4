"""When a chunk was heard, also on a board whose clock is wrong at the start.

Everything is dated at once, by the clock as it is. Beside it counts a steady clock, and where
the two part, the clock was set. What it had dated while nothing confirmed it is dated anew then.
"""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from typing import Any

from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.journal.journal import Journal
from cw_mqtt.model import Chunk, Era, Reading, SensorState, Verdict
from cw_mqtt.runtime.clock import Clocks
from cw_mqtt.runtime.health import Health

log = logging.getLogger(__name__)

RELEASE_TS = 1_795_000_000.0  # no clock that is right shows a time before this version was made
CLOCKS_APART_S = 2.0  # less may pass between the reading of two clocks
FOLLOWED_WITHIN_S = 60.0
TRUSTED_AFTER_S = 2 * 86400.0  # a clock that nobody has set for so long is taken for right


class ClockGuard:
    """Dates chunks, and follows the clock when it is set.

    `is_night` tells the tariff of a reading that gets another time.
    """

    def __init__(
        self, journal: Journal, health: Health, is_night: Callable[[int], bool], clocks: Clocks
    ) -> None:
        self._journal = journal
        self._health = health
        self._is_night = is_night
        self._clocks = clocks
        self._followed = 0.0, -FOLLOWED_WITHIN_S  # clock minus steady clock; and when, by that one
        health.ask("clock", "synchronised", answer=clocks.is_synchronised)

    def now(self) -> float:
        """The time in the terms of all that was dated: it is set only together with that.

        When nothing is heard any more, it is what the clock says.
        """
        ahead_s, at_s = self._followed
        now_s = self._clocks.steady()
        return ahead_s + now_s if now_s - at_s < FOLLOWED_WITHIN_S else self._clocks.wall()

    def dated(self, chunks: Iterable[Chunk], *, follow: bool) -> list[Chunk]:
        """Chunks with the time at which they were heard, whatever the clock showed then.

        Where it is not to be followed, the time of before goes on, as when the disk refuses.
        """
        heard = list(chunks)
        if heard and follow:
            with suppress(ResourceAwayError):
                self._follow(max(heard, key=lambda chunk: chunk.monotonic_s))
        return [self._dated(chunk) for chunk in heard]

    def _dated(self, chunk: Chunk) -> Chunk:
        era = self._journal.era
        if not era or not was_set(era, chunk):
            return chunk
        return replace(chunk, heard_ts=era.offset_s + chunk.monotonic_s)

    def _follow(self, chunk: Chunk) -> None:
        synchronised = self._clocks.is_synchronised()  # before that is read which it confirms
        now_s = self._clocks.steady()
        ahead_s = self._clocks.wall() - now_s
        era = self._journal.era
        if not era or era.boot != self._clocks.boot:
            era = self._begin(chunk, era)
        elif was_set(era, chunk) and chunk.monotonic_s > era.since_s:
            era = self._set(chunk, era)
        self._followed = ahead_s, now_s
        seen_right = synchronised and abs(ahead_s - era.offset_s) <= CLOCKS_APART_S
        steady = chunk.monotonic_s - era.since_s > TRUSTED_AFTER_S
        if not era.confirmed and (seen_right or steady):
            self._journal.begin_era(replace(era, confirmed=True))

    def _begin(self, chunk: Chunk, before: Era | None) -> Era:
        """The computer was started; what had no time then will get none."""
        if before and not before.confirmed and before.offset_s + before.since_s < RELEASE_TS:
            count = self._journal.begin_era(before, date_anew=without_time)
            self._health.count("clock", "undated", by=count)
            log.error(
                "the clock was never set while %d readings arrived; they are excluded as undated",
                count,
            )
        if self._clocks.wall() < RELEASE_TS:
            log.warning("the clock is wrong; the times of readings are corrected once it is set")
        era = Era(self._clocks.boot, offset_s(chunk), chunk.monotonic_s)
        self._journal.begin_era(era)
        return era

    def _set(self, chunk: Chunk, before: Era) -> Era:
        """The clock was set: what is remembered moves along, readings if it was not confirmed."""
        by_s = offset_s(chunk) - before.offset_s
        since_ts, until_ts = before.offset_s, before.offset_s + chunk.monotonic_s

        def moved(reading: Reading) -> Reading:
            ts = reading.ts + round(by_s)
            return replace(reading, ts=ts, night=self._is_night(ts))

        def moved_state(state: SensorState) -> SensorState:
            all_moved: SensorState = shifted(state, by_s, since_ts, until_ts)
            if not before.confirmed:
                return all_moved
            return replace(all_moved, latest=state.latest, energy=state.energy)

        era = replace(before, offset_s=offset_s(chunk), since_s=chunk.monotonic_s, confirmed=False)
        with self._journal.lock:
            states = [moved_state(state) for state in self._journal.states().values()]
            kept = {
                key: shifted(each, by_s, since_ts, until_ts)
                for key, each in self._journal.kept().items()
            }
            date_anew = None if before.confirmed else moved
            count = self._journal.begin_era(era, states, date_anew, kept)
        log.warning("the clock was set by %+.0f s; %d readings got corrected times", by_s, count)
        self._health.count("clock", "dated_anew", by=count)
        return era


def offset_s(chunk: Chunk) -> float:
    """How far the clock was ahead of the steady one when a chunk was read."""
    return chunk.heard_ts - chunk.monotonic_s


def was_set(era: Era, chunk: Chunk) -> bool:
    """Whether the clock was set between the begin of an era and a chunk."""
    return abs(offset_s(chunk) - era.offset_s) > CLOCKS_APART_S


def without_time(reading: Reading) -> Reading:
    """A reading whose time will never be known: it does not count any more."""
    return replace(reading, verdict=Verdict.UNDATED) if reading.verdict.counts else reading


def shifted(value: Any, by_s: float, since_ts: float, until_ts: float) -> Any:
    """A value with every instant between two others moved; they are known by their names."""

    def moved(name: str, old: Any) -> Any:
        if old is None or not (name == "ts" or name.endswith("_ts")):
            return shifted(old, by_s, since_ts, until_ts)
        if not since_ts - CLOCKS_APART_S <= old <= until_ts + CLOCKS_APART_S:
            return old
        return old + (round(by_s) if isinstance(old, int) else by_s)

    if isinstance(value, tuple):
        return tuple(shifted(each, by_s, since_ts, until_ts) for each in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    return replace(value, **{f.name: moved(f.name, getattr(value, f.name)) for f in fields(value)})
