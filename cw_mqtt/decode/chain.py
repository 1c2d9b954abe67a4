"""What a sender's chain of proven packets says of the next: who it may be from, and how late.

A sensor's timer counts the milliseconds it was awake, so it never rises by more than the time that
has passed. How much it rises a packet, and how far apart packets are, is learned; what is learned
never decides alone.
"""

from collections.abc import Iterable
from dataclasses import replace
from statistics import median

from cw_mqtt.decode.packets import NO_PADDING, proves_itself
from cw_mqtt.model import TIMER_RANGE_MS, Chain, Heard

PATIENCE_S = 600.0  # a battery is changed in less, and no network's buffer holds more
SURELY_SILENT_S = 60.0
BUFFER_S = 60.0  # a network holds packets back for so long, and brings them at once
SETTLING_STEPS = 5  # the firmware's offset filter takes this many packets after power-up
FIRST_SENT_MS = 400  # after power-up, by the firmware of 2014
LONGEST_STEP_MS = 900  # of all firmware known; until the sensor's own step is learned
KEPT = 19  # of the newest steps and intervals; a state must fit in a page of the journal
FEW = 3
ENOUGH = 9
FASTEST_CLOCK = 1.1  # the sensor's oscillator may run fast by a tenth
SLACK_S = 2.0
BOOT_SLACK_S = 10.0
SET_BACK_S = 60.0
SPREAD = 0.05  # how far a timer strays from where step and period put it, as a share
LAG_KEPT = 0.9
LOSS_WEIGHT = 0.01
MOST_MISSED = 10  # in one go; after a longer silence the bridge may not have listened


def continues(newest: Heard, before: Heard | None) -> bool:
    """Whether a packet is, provably, the next one that the sender of another sent."""
    return (
        before is not None
        and not proves_itself(newest.packet)
        and newest.packet.padding == before.packet.tail
    )


def is_first(heard: Heard) -> bool:
    """Whether a packet is the first of a boot, which continues none."""
    return heard.packet.padding == NO_PADDING


def proves(newest: Heard, held: Heard) -> bool:
    """Whether a packet shows that one held is genuine: an end alone can be copied."""
    most = most_ms(newest.heard_ts - held.heard_ts, newest.heard_ts, held)
    return continues(newest, held) and 0 < risen_ms(held, newest) <= most


def risen_ms(before: Heard, heard: Heard) -> int:
    """How far the timer has risen, if it is the same sensor's."""
    return (heard.packet.timer_ms - before.packet.timer_ms) % TIMER_RANGE_MS


def most_ms(passed_s: float, now_ts: float, before: Heard) -> float:
    """How far a timer can have risen: the one sure bound, since it stands still in sleep.

    When the clock was set back nothing is known.
    """
    if now_ts < before.heard_ts - SET_BACK_S:
        return TIMER_RANGE_MS
    return (max(0.0, passed_s) * FASTEST_CLOCK + SLACK_S) * 1000


def awake_share(chain: Chain) -> float | None:
    """By how much of the time that passes the timer rises, where that is known."""
    if len(chain.intervals_s) < FEW:
        return None
    pairs = zip(chain.steps_ms, chain.intervals_s, strict=True)
    return median(step_ms / interval_s / 1000 for step_ms, interval_s in pairs)


def is_steady(chain: Chain) -> bool:
    """Whether packets came at a sensor's pace, unlike some that somebody repeats."""
    share = awake_share(chain)
    if share is None or chain.was or len(chain.steps_ms) < ENOUGH:
        return False
    usual_s = [step_ms / share / 1000 for step_ms in chain.steps_ms]
    return all(
        usual / 2 < interval_s < 2 * usual
        for usual, interval_s in zip(usual_s, chain.intervals_s, strict=True)
    )


def may_go_on(chain: Chain, heard: Heard, now_ts: float) -> bool:
    """Whether a chain's timer can have risen so far: whatever was learned of step and period."""
    before = chain.newest
    if before is None or is_first(heard):
        return False
    most = most_ms(heard.heard_ts - before.heard_ts + chain.lag_s, now_ts, before)
    return 0 < risen_ms(before, heard) <= most


def distance(chain: Chain, first: Heard, now_ts: float) -> float | None:
    """How far, in ms, a packet's timer is from where the chain's would be; None: too far.

    A miss counts by its square, measured by how sure the forecast is.
    """
    before, share = chain.newest, awake_share(chain)
    if before is None or not may_go_on(chain, first, now_ts):
        return None
    risen = risen_ms(before, first)
    if share is None or now_ts < before.heard_ts - SET_BACK_S:
        spread = most_ms(first.heard_ts - before.heard_ts + chain.lag_s, now_ts, before) / 2
        return spread + risen**2 / spread
    passed_s = max(0.0, first.heard_ts - before.heard_ts)
    least, likely = passed_s * share * 1000, (passed_s + chain.lag_s) * share * 1000
    spread = median(chain.steps_ms) + SPREAD * likely
    missed = max(least - risen, risen - likely, 0.0)
    tolerance = max(3 * spread, BUFFER_S * share * 1000)
    if missed > (max(tolerance, likely / 2) if passed_s > PATIENCE_S else tolerance):
        return None
    return spread + missed**2 / spread


def may_be_of(old: Chain, chain: Chain, held: Iterable[Heard], now_ts: float) -> bool:
    """Whether the sender of one chain, silent since another began, can have sent that too.

    It has restarted, or step and period were learned wrong. One of whom a packet is `held` that
    came in time is not silent.
    """
    alive_ts = (h.heard_ts for h in held if awake_share(old) and is_in_time(old, h))
    if not (old.newest and chain.newest) or old is chain:
        return False
    silent_s = now_ts - max((last_ts(old) - old.lag_s, *alive_ts))
    if silent_s < min(SURELY_SILENT_S, now_ts - chain.since_ts) and silent_s > -SET_BACK_S:
        return False
    if silent_s <= PATIENCE_S and may_go_on(old, chain.newest, now_ts):
        return True
    shares = [awake_share(chain) or FASTEST_CLOCK, awake_share(old) or FASTEST_CLOCK]
    share = shares[0] if is_steady(chain) else min(shares)
    up_s = (chain.newest.packet.timer_ms - FIRST_SENT_MS) / 1000 / share
    return not chain.wrapped and up_s <= silent_s * FASTEST_CLOCK + BOOT_SLACK_S


def not_restarted(chain: Chain) -> Chain:
    """A chain that goes on: what seemed to be boots of its sender were another's."""
    if not chain.unsettled:
        return chain
    return replace(chain, restarts=chain.restarts - chain.unsettled, unsettled=0)


def is_in_time(chain: Chain, heard: Heard) -> bool:
    """Whether a packet came when its sender sends, as far as step and period are known.

    One that comes late may have been lost, and repeated by somebody.
    """
    share = awake_share(chain)
    if chain.newest is None or share is None:
        return True
    passed_s = heard.heard_ts - chain.newest.heard_ts
    late_s = passed_s - risen_ms(chain.newest, heard) / 1000 / share
    return abs(late_s) <= 0.5 * median(chain.intervals_s) + 2 * SPREAD * passed_s


def last_ts(chain: Chain) -> float:
    """When the sender was last heard."""
    return chain.newest.heard_ts if chain.newest else 0.0


def advanced(chain: Chain, heard: Heard) -> Chain:
    """Trust one packet; learn step, interval and loss from it.

    An interval in which the sensor can have been awake for so long is shared among the packets
    that came since the last such one: of several at once, those before the newest were late.
    """
    before, heard = chain.newest, replace(heard, elsewhere=())
    if before is None:
        return replace(chain, newest=heard, since_ts=heard.heard_ts)
    interval_s = round(heard.heard_ts - before.heard_ts, 3)
    step_ms = risen_ms(before, heard)
    usual_ms = median(chain.steps_ms or (max(1, step_ms),))
    share = awake_share(chain)
    late_s = chain.lag_s + interval_s - step_ms / share / 1000 if share else chain.lag_s
    # heard in another order, by another clock, or from a sensor whose timer is none
    backwards = interval_s < 0 or step_ms > TIMER_RANGE_MS / 2
    chain = replace(
        chain,
        newest=heard,
        lag_s=round(max(0.0, late_s) * LAG_KEPT, 1),
        wrapped=chain.wrapped or heard.packet.timer_ms < before.packet.timer_ms,
        waited_ms=0 if backwards else chain.waited_ms + step_ms,
        waited_s=0.0 if backwards else round(chain.waited_s + interval_s, 3),
    )
    is_next = continues(heard, before) or (
        proves_itself(heard.packet) and step_ms <= 1.5 * usual_ms
    )
    received = chain.loss * (1 - LOSS_WEIGHT)
    if is_next:
        return _learned(replace(chain, loss=received), step_ms)
    missed = min(MOST_MISSED, max(1, round(step_ms / usual_ms) - 1))
    return replace(chain, loss=1 - (1 - received) * (1 - LOSS_WEIGHT) ** missed)


def _learned(chain: Chain, step_ms: int) -> Chain:
    """A chain with one more step and interval, if the time that has passed allows them."""
    if not (step_ms and 0 < chain.waited_ms <= chain.waited_s * 1000 * FASTEST_CLOCK):
        return chain
    interval_s = round(chain.waited_s * step_ms / chain.waited_ms, 3)
    return replace(
        chain,
        steps_ms=(*chain.steps_ms, step_ms)[-KEPT:],
        intervals_s=(*chain.intervals_s, interval_s)[-KEPT:],
        waited_ms=0,
        waited_s=0.0,
    )


def is_settling(chain: Chain, heard: Heard) -> bool:
    """Whether a packet of a chain is among those of a boot in which the power is wrong."""
    step_ms = median(chain.steps_ms or (LONGEST_STEP_MS,))
    settled_ms = FIRST_SENT_MS + (SETTLING_STEPS - 0.5) * step_ms
    return not chain.wrapped and heard.packet.timer_ms < settled_ms
