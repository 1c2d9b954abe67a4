"""Packets -> verdicts: what is trusted of a sensor, and what proves it.

The sensor's padding is a chain: each packet carries the end of the one before it, which nobody
without the key can continue. A packet that continues the trusted one is verified. Any other
is held until the next one continues it; then both are good if the timer could have got there.
Trusted state advances on proven packets only, so no forged packet can mute a sensor.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from cw_mqtt.decode.packets import NO_PADDING
from cw_mqtt.model import Chain, Held, Packet, Verdict

TIMER_RANGE_MS = 2**32
REPEAT_S = 5.0  # the sensor tries 16 times within 79 ms; two receivers may differ by more
MOST_HELD = 8
HOLD_PERIODS = 3
HOLD_UNKNOWN_S = 600.0  # before the period is known
SETTLING_STEPS = 5  # the firmware's offset filter takes this many packets after power-up
STEPS_KEPT = 9
INTERVALS_KEPT = 50
SLOWEST_CLOCK = 1.1  # the sensor's oscillator may run fast by a tenth
SLACK_MS = 2000


@dataclass(frozen=True, slots=True)
class Ruling:
    """The verdict on one packet, given now or after it was held."""

    packet: Packet
    heard_ts: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one packet changed: the new chain and the verdicts given, in order of time."""

    chain: Chain
    rulings: tuple[Ruling, ...]
    rebooted: bool = False


def judge(chain: Chain, packet: Packet, heard_ts: float) -> Judgement:
    """Judge a plausible packet of a sensor by what is known of the sensor."""
    earlier_ts = heard_before(chain, packet.payload)
    if earlier_ts is not None:
        repeat = abs(heard_ts - earlier_ts) <= REPEAT_S
        verdict = Verdict.DUPLICATE if repeat else Verdict.REPLAYED
        return Judgement(chain, (Ruling(packet, heard_ts, verdict),))
    chain, expired = let_go(chain, heard_ts)
    if packet.padding == chain.tail:
        after = advance(strangers(chain), Held(packet, heard_ts))
        return Judgement(after, (*expired, proven(after, packet, heard_ts, Verdict.VERIFIED)))
    for held in chain.held:
        if packet.padding == held.packet.tail:
            return confirm(chain, held, Held(packet, heard_ts), expired)
    return hold(chain, Held(packet, heard_ts), expired)


def heard_before(chain: Chain, payload: bytes) -> float | None:
    """When exactly these bytes were heard, if they are the trusted packet or a held one."""
    if payload == chain.payload:
        return chain.heard_ts
    return next((h.heard_ts for h in chain.held if h.packet.payload == payload), None)


def let_go(chain: Chain, now_ts: float) -> tuple[Chain, tuple[Ruling, ...]]:
    """Give up held packets whose successor should have come long ago."""
    hold_s = HOLD_PERIODS * median(chain.intervals_s) if chain.intervals_s else HOLD_UNKNOWN_S
    late = tuple(held for held in chain.held if now_ts - held.heard_ts > hold_s)
    kept = tuple(held for held in chain.held if held not in late)
    return replace(chain, held=kept), unverified(late)


def hold(chain: Chain, newest: Held, before: tuple[Ruling, ...]) -> Judgement:
    """Keep a packet until the next proves it; beyond a few, the oldest are given up."""
    held = (*chain.held, newest)
    rulings = (
        *before,
        *unverified(held[:-MOST_HELD]),
        Ruling(newest.packet, newest.heard_ts, Verdict.HELD),
    )
    return Judgement(replace(chain, held=held[-MOST_HELD:]), rulings)


def unverified(held: Sequence[Held]) -> tuple[Ruling, ...]:
    """The verdict on packets that nothing proved in time."""
    return tuple(Ruling(h.packet, h.heard_ts, Verdict.UNVERIFIED) for h in held)


def confirm(chain: Chain, first: Held, second: Held, before: tuple[Ruling, ...]) -> Judgement:
    """Judge two packets of which the second continues the first.

    They come from a holder of the key; from this sensor if its timer could have got there.
    If not, the second is held on, so that the stranger's next packet is known as well.
    """
    others = replace(chain, held=tuple(held for held in chain.held if held is not first))
    rebooted = has_rebooted(chain, first)
    if first.foreign or not (rebooted or follows(chain, first)):
        foreign = Ruling(first.packet, first.heard_ts, Verdict.FOREIGN)
        return hold(others, replace(second, foreign=True), (*before, foreign))
    start = strangers(anew(others) if rebooted else others)
    after = advance(advance(start, first, consecutive=False), second)
    rulings = (
        *before,
        proven(after, first.packet, first.heard_ts, Verdict.CONFIRMED),
        proven(after, second.packet, second.heard_ts, Verdict.VERIFIED),
    )
    return Judgement(after, rulings, rebooted)


def follows(chain: Chain, first: Held) -> bool:
    """Whether the timer rose since the trusted packet, and by no more than time has passed."""
    if chain.timer_ms is None:
        return True
    risen_ms = (first.packet.timer_ms - chain.timer_ms) % TIMER_RANGE_MS
    return 0 < risen_ms <= most_risen_ms(chain, first)


def has_rebooted(chain: Chain, first: Held) -> bool:
    """Whether the timer began anew since the trusted packet, which takes no more than its value."""
    if chain.timer_ms is None or first.packet.timer_ms > most_risen_ms(chain, first):
        return False
    return first.packet.padding == NO_PADDING or not follows(chain, first)


def most_risen_ms(chain: Chain, first: Held) -> float:
    """How far the timer can have come since the trusted packet.

    It stands still while the sensor sleeps, so that wall time is the only sure bound. When the
    wall clock was set back, nothing is known.
    """
    passed_s = first.heard_ts - (chain.heard_ts or 0.0)
    if passed_s < 0:
        return TIMER_RANGE_MS
    return passed_s * 1000 * SLOWEST_CLOCK + SLACK_MS


def strangers(chain: Chain) -> Chain:
    """Mark what is held as foreign: it came between two packets that chain onto each other."""
    return replace(chain, held=tuple(replace(held, foreign=True) for held in chain.held))


def anew(chain: Chain) -> Chain:
    """Forget the timer of before a reboot; what was learned of the sensor stays."""
    return replace(chain, timer_ms=None, heard_ts=None, wrapped=False, restarts=chain.restarts + 1)


def advance(chain: Chain, heard: Held, *, consecutive: bool = True) -> Chain:
    """Trust a packet; learn step and interval from it when none was lost before it."""
    packet, steps_ms, intervals_s = heard.packet, chain.steps_ms, chain.intervals_s
    wrapped = chain.wrapped
    if chain.timer_ms is not None and chain.heard_ts is not None:
        step_ms = (packet.timer_ms - chain.timer_ms) % TIMER_RANGE_MS
        wrapped = wrapped or packet.timer_ms < chain.timer_ms
        if consecutive and heard.heard_ts > chain.heard_ts:
            steps_ms = (*steps_ms, step_ms)[-STEPS_KEPT:]
            interval_s = round(heard.heard_ts - chain.heard_ts, 3)
            intervals_s = (*intervals_s, interval_s)[-INTERVALS_KEPT:]
    return replace(
        chain,
        tail=packet.tail,
        timer_ms=packet.timer_ms,
        heard_ts=heard.heard_ts,
        payload=packet.payload,
        steps_ms=steps_ms,
        intervals_s=intervals_s,
        wrapped=wrapped,
    )


def proven(chain: Chain, packet: Packet, heard_ts: float, verdict: Verdict) -> Ruling:
    """The verdict on a proven packet: settling while the sensor's filter has not settled."""
    step_ms = median(chain.steps_ms) if chain.steps_ms else 0
    settling = not chain.wrapped and packet.timer_ms < SETTLING_STEPS * step_ms
    return Ruling(packet, heard_ts, Verdict.SETTLING if settling else verdict)
