"""What database and broker know of the sensors, joined with the journal: no sum is less."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.journal.journal import Journal
from cw_mqtt.measure.energy import never_less, start_from
from cw_mqtt.model import JOULES_PER_KWH, Energy, Reading, SensorState

log = logging.getLogger(__name__)

RECOVERED_AT_ONCE = 5000

Count = Callable[[Energy, Reading], Energy]  # what a reading that counts makes of the sums


def load_totals(
    journal: Journal,
    sensors: Mapping[str, SensorSettings],
    known: Mapping[str, SensorState],
    seq: int,
    count: Count,
) -> None:
    """Commit the states of the sensors, joined with the `known` ones.

    These are the database's copies, or what measures carry where it has none. Where that is more
    than the journal knows, as for a new journal or an old copy of one, the journal's readings
    after `seq` go on from it.
    """
    states = journal.states()
    ahead = {
        slug: known[slug].energy
        for slug in sensors.keys() & known
        if not states[slug].energy.loaded
        or states[slug].energy.total_j < known[slug].energy.total_j
    }
    going_on = GoingOn(journal, ahead, seq, count)
    going_on.add_up()  # most of them, while others may write the journal
    with journal.lock:
        going_on.add_up()
        states = journal.states()
        joined = [
            join(states[slug], known.get(slug), going_on.sums.get(slug), sensor.start_kwh)
            for slug, sensor in sensors.items()
        ]
        journal.commit(state for state in joined if state != states[state.sensor])
    for state in joined:
        warn_of_lower_start(state, sensors[state.sensor].start_kwh)


def warn_of_lower_start(state: SensorState, start_kwh: float) -> None:
    """Say that a start which is lower than the one the total has begun at changes nothing."""
    began_kwh = state.energy.start_j / JOULES_PER_KWH
    if start_kwh < began_kwh:
        log.warning(
            "%s: start_kwh is %s now; the total, begun at %s, stays as it is: it never falls",
            state.sensor,
            start_kwh,
            began_kwh,
        )


def lift_total(journal: Journal, slug: str, published: Energy) -> None:
    """Lift a sensor's sums to what subscribers were told before, where they are lower."""

    def lift(state: SensorState) -> SensorState:
        # of the contract, as the bridge has begun them, or counted before: whoever may write to
        # the broker can name others
        known = state.energy.tariffs_j
        tariffs_j = {name: j for name, j in published.tariffs_j.items() if name in known}
        energy = never_less(state.energy, replace(published, tariffs_j=tariffs_j))
        if energy.total_j > state.energy.total_j:
            log.warning(
                "%s: the broker has been told of %.3f kWh; going on from there, not from %.3f",
                slug,
                energy.total_kwh,
                state.energy.total_kwh,
            )
        return replace(state, energy=energy)

    journal.update(slug, lift)


class GoingOn:
    """The sums of some sensors, with the journal's readings after a number added to them."""

    def __init__(self, journal: Journal, sums: dict[str, Energy], seq: int, count: Count) -> None:
        self.sums = sums
        self._journal = journal
        self._seq = seq
        self._count = count

    def add_up(self) -> None:
        """Add the readings that have come; those that only got another time counted before."""
        while self.sums and (entries := self._journal.readings_after(self._seq, RECOVERED_AT_ONCE)):
            for entry in entries:
                reading, slug = entry.reading, entry.reading.sensor
                if slug not in self.sums or not reading.verdict.counts:
                    continue
                if entry.was_ts is None:
                    self.sums[slug] = self._count(self.sums[slug], reading)
                else:
                    self.sums[slug] = replace(
                        self.sums[slug], last_ts=reading.ts, last_power_w=reading.power_w
                    )
            self._seq = entries[-1].seq


def join(
    state: SensorState, known: SensorState | None, sums: Energy | None, start_kwh: float
) -> SensorState:
    """A state with the sums of `known`, or those that went on from there, where they are higher.

    The chain is that of whoever has heard the sensor last.
    """
    known = known or state
    if not state.energy.loaded:
        state = replace(state, identity=known.identity or state.identity)
    energy = never_less(never_less(sums or state.energy, state.energy), known.energy)
    started = start_from(energy, start_kwh * JOULES_PER_KWH)
    state = replace(state, energy=replace(started, loaded=True))
    if (known.seen_ts or 0.0) <= (state.seen_ts or 0.0):
        return state
    return replace(state, chain=known.chain, latest=known.latest, seen_ts=known.seen_ts)
