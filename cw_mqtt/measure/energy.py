"""Energy: each measure carries the energy of the interval that ends at it.

That is (previous power + its power) / 2 x seconds, in the tariff of its own night flag; a negative
power counts as 0. After a gap, and for the first measure, it carries none. The energy of any set
of measures is the sum of what they carry, so groups add up to the whole.
"""

from dataclasses import dataclass, replace

from cw_mqtt.model import JOULES_PER_KWH, Energy


@dataclass(frozen=True, slots=True)
class Carried:
    """What one measure carries: joules and the measured time they belong to."""

    energy_j: float
    seconds: int


NOTHING = Carried(0.0, 0)


def carry(
    previous_ts: int, previous_power_w: float, ts: int, power_w: float, max_gap_s: float
) -> Carried:
    """What a measure carries after the one before it.

    An interval longer than `max_gap_s` is a gap; a negative one means that the clock was set
    back: both carry nothing.
    """
    seconds = ts - previous_ts
    if not 0 < seconds <= max_gap_s:
        return NOTHING
    return Carried((max(0.0, previous_power_w) + max(0.0, power_w)) / 2 * seconds, seconds)


def add_measure(
    energy: Energy,
    ts: int,
    power_w: float,
    *,
    night: bool,
    max_gap_s: float,
    price_per_kwh: float = 0.0,
) -> Energy:
    """The total, and its cost, after one more live measure.

    One that is heard out of order, a little older than the last, changes nothing: the interval
    it lies in is counted already.
    """
    if energy.last_ts is not None and 0 < energy.last_ts - ts <= max_gap_s:
        return energy
    carried = NOTHING
    if energy.last_ts is not None:
        carried = carry(energy.last_ts, energy.last_power_w, ts, power_w, max_gap_s)
    return replace(
        energy,
        day_j=energy.day_j + (0.0 if night else carried.energy_j),
        night_j=energy.night_j + (carried.energy_j if night else 0.0),
        last_ts=ts,
        last_power_w=power_w,
        cost=energy.cost + carried.energy_j / JOULES_PER_KWH * price_per_kwh,
    )


def join_totals(stored: Energy, since: Energy) -> Energy:
    """The stored total with what live measures carried before it could be loaded."""
    newest = stored if since.last_ts is None else since
    return Energy(
        start_j=stored.start_j,
        day_j=stored.day_j + since.day_j,
        night_j=stored.night_j + since.night_j,
        last_ts=newest.last_ts,
        last_power_w=newest.last_power_w,
        loaded=True,
        cost=stored.cost + since.cost,
    )


def raise_total(energy: Energy, kwh: float) -> Energy:
    """The total lifted to `kwh` if it is lower; a published total never goes down."""
    missing_j = max(0.0, kwh - energy.total_kwh) * JOULES_PER_KWH
    return replace(energy, start_j=energy.start_j + missing_j)
