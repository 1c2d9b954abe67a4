"""Energy: each measure carries the energy of the interval that ends at it.

That is (previous power + its power) / 2 x seconds; a negative power counts as 0. After a gap, and
for the first measure, it carries none. The energy of any set of measures is the sum of what they
carry, so groups add up to the whole.
"""

from dataclasses import dataclass, replace

from cw_mqtt.config.contract import TariffSettings
from cw_mqtt.model import JOULES_PER_KWH, Energy


@dataclass(frozen=True, slots=True)
class IntervalEnergy:
    """What one measure carries: joules and the measured time they belong to."""

    energy_j: float
    seconds: int


NOTHING = IntervalEnergy(0.0, 0)


def carry(
    previous_ts: int, previous_power_w: float, ts: int, power_w: float, max_gap_s: float
) -> IntervalEnergy:
    """What a measure carries after the one before it.

    An interval longer than `max_gap_s` is a gap; a negative one means that the clock was set
    back: both carry nothing.
    """
    seconds = ts - previous_ts
    if not 0 < seconds <= max_gap_s:
        return NOTHING
    return IntervalEnergy((max(0.0, previous_power_w) + max(0.0, power_w)) / 2 * seconds, seconds)


def add_measure(
    energy: Energy, ts: int, power_w: float, tariff: TariffSettings, max_gap_s: float
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
    in_tariff_j = energy.tariffs_j.get(tariff.name, 0.0)
    return replace(
        energy,
        total_j=energy.total_j + carried.energy_j,
        tariffs_j={**energy.tariffs_j, tariff.name: in_tariff_j + carried.energy_j},
        last_ts=ts,
        last_power_w=power_w,
        cost=energy.cost + carried.energy_j / JOULES_PER_KWH * tariff.eur_per_kwh,
    )


def never_less(energy: Energy, least: Energy) -> Energy:
    """Energy with each of its sums lifted to that of `least` where it is lower."""
    tariffs_j = {
        name: max(energy.tariffs_j.get(name, 0.0), least.tariffs_j.get(name, 0.0))
        for name in {**energy.tariffs_j, **least.tariffs_j}
    }
    return replace(
        energy,
        start_j=max(energy.start_j, least.start_j),
        total_j=max(energy.total_j, least.total_j),
        tariffs_j=tariffs_j,
        cost=max(energy.cost, least.cost),
    )


def start_from(energy: Energy, start_j: float) -> Energy:
    """Energy whose total begins at `start_j`, if that is more than it began at before."""
    more_j = max(0.0, start_j - energy.start_j)
    return replace(energy, start_j=energy.start_j + more_j, total_j=energy.total_j + more_j)
