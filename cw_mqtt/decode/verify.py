"""Packets -> verdicts: what is trusted of a sensor, and what proves it.

Under form v1 the padding is a chain: each packet carries the end of the one before it, which
nobody without the key can continue. A packet that continues the trusted one is verified. Any
other is held until the next one continues it; then both are good if the timer could have got
there. Form v1.1 proves itself, and must have got there too. What was heard before is
a replay. Trusted state advances on proven packets only, so no forged packet can mute a sensor.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import median

from cw_mqtt.decode.packets import NO_PADDING, proves_itself
from cw_mqtt.model import Chain, Form, Heard, Packet, Verdict

TIMER_RANGE_MS = 2**32
REPEAT_S = 5.0  # the sensor tries 16 times within 79 ms; two receivers may differ by more
MOST_HELD = 8
HOLD_PERIODS = 3
HOLD_UNKNOWN_S = 600.0  # before the period is known
SETTLING_STEPS = 5  # the firmware's offset filter takes this many packets after power-up
SHORTEST_STEP_MS = 600  # of all firmware known; until the sensor's own step is learned
STEPS_KEPT = 9
INTERVALS_KEPT = 50
FASTEST_CLOCK = 1.1  # the sensor's oscillator may run fast by a tenth
SLACK_S = 2.0
SET_BACK_S = 60.0
REGRET_S = 120.0  # how long a reboot may turn out to have been another sensor's
LOSS_WEIGHT = 0.01
MOST_MISSED = 10  # in one go; after a longer silence the bridge may not have listened


@dataclass(frozen=True, slots=True)
class Ruling:
    """The verdict on one packet, given now or after it was held."""

    sensor: str
    packet: Packet
    heard_ts: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one packet changed: the chains that changed, and verdicts in order of time."""

    chains: Mapping[str, Chain]
    rulings: tuple[Ruling, ...]
    rebooted: str | None = None


Fit = tuple[str, bool]  # the sensor that must have sent a packet, and whether it has rebooted


def judge(
    chains: Mapping[str, Chain],
    packet: Packet,
    heard_ts: float,
    was_heard: Callable[[bytes], bool],
) -> Judgement:
    """Judge a plausible packet by what is known of the sensors that share its key.

    `chains` are theirs; the first one's holds what waits. `was_heard` tells whether a payload
    was ever heard before. It is asked about packets that continue the trusted one too: somebody
    may repeat packets that were lost here, and after them others that were not.
    """
    host = next(iter(chains))
    newest = Heard(packet, heard_ts)
    repeated = repeat_of(chains, newest)
    if repeated:
        return Judgement({}, (repeated,))
    waiting, expired = let_go(chains[host], host, heard_ts)
    chains = {**chains, host: waiting}
    if was_heard(packet.payload):
        return Judgement(chains, (*expired, Ruling(host, packet, heard_ts, Verdict.REPLAYED)))
    for sensor, chain in chains.items():
        if chain.newest and continues(newest, chain.newest):
            return trust(chains, sensor, (newest,), expired)
    for held in waiting.held:
        if continues(newest, held) and risen_share(held, newest) is not None:
            return confirm(chains, held, newest, expired)
    if proves_itself(packet):
        fit = fitting(chains, newest)
        if fit:
            return trust(chains, fit[0], (newest,), expired, rebooted=fit[1])
        foreign = Ruling(host, packet, heard_ts, Verdict.FOREIGN)
        return Judgement(chains, (*expired, foreign))
    return hold(chains, newest, expired)


def repeat_of(chains: Mapping[str, Chain], newest: Heard) -> Ruling | None:
    """The verdict on a packet that is, byte for byte, a newest or held one once more."""
    for sensor, chain in chains.items():
        for heard in (*chain.held, *((chain.newest,) if chain.newest else ())):
            if heard.packet.payload == newest.packet.payload:
                soon = abs(newest.heard_ts - heard.heard_ts) <= REPEAT_S
                verdict = Verdict.DUPLICATE if soon else Verdict.REPLAYED
                return Ruling(sensor, newest.packet, newest.heard_ts, verdict)
    return None


def continues(newest: Heard, before: Heard) -> bool:
    """Whether a packet is, provably, the next one that the sender of another sent."""
    return newest.packet.form is Form.V1 and newest.packet.padding == before.packet.tail


def let_go(chain: Chain, sensor: str, now_ts: float) -> tuple[Chain, tuple[Ruling, ...]]:
    """Give up held packets whose successor should have come long ago."""
    hold_s = HOLD_PERIODS * median(chain.intervals_s) if chain.intervals_s else HOLD_UNKNOWN_S
    late = tuple(held for held in chain.held if now_ts - held.heard_ts > hold_s)
    if not late:
        return chain, ()
    kept = tuple(held for held in chain.held if held not in late)
    return replace(chain, held=kept), given_up(late, sensor)


def given_up(held: tuple[Heard, ...], sensor: str) -> tuple[Ruling, ...]:
    """The verdict on packets that nothing proved in time."""
    return tuple(
        Ruling(
            sensor,
            each.packet,
            each.heard_ts,
            Verdict.FOREIGN if sensor in each.not_of else Verdict.UNVERIFIED,
        )
        for each in held
    )


def hold(chains: Mapping[str, Chain], newest: Heard, before: tuple[Ruling, ...]) -> Judgement:
    """Keep a packet until the next proves it; beyond a few, the oldest are given up."""
    host = next(iter(chains))
    held = (*chains[host].held, newest)
    rulings = (
        *before,
        *given_up(held[:-MOST_HELD], host),
        Ruling(host, newest.packet, newest.heard_ts, Verdict.HELD),
    )
    chain = replace(chains[host], held=held[-MOST_HELD:])
    return Judgement({**chains, host: chain}, rulings)


def confirm(
    chains: Mapping[str, Chain], first: Heard, second: Heard, before: tuple[Ruling, ...]
) -> Judgement:
    """Judge two packets of which the second continues the first.

    They come from a holder of the key: from the sensor that could have got there. If there is
    none, the second is held on, so that the stranger's next packet is known as well.
    """
    host = next(iter(chains))
    others = tuple(held for held in chains[host].held if held is not first)
    chains = {**chains, host: replace(chains[host], held=others)}
    fit = fitting(chains, first)
    if fit:
        return trust(chains, fit[0], (first, second), before, rebooted=fit[1])
    foreign = Ruling(host, first.packet, first.heard_ts, Verdict.FOREIGN)
    return hold(chains, replace(second, not_of=tuple(chains)), (*before, foreign))


def fitting(chains: Mapping[str, Chain], first: Heard) -> Fit | None:
    """Which sensor a proven packet is from, when some packets before it were lost.

    The one whose last packet it follows most closely; else one never heard before; else one
    that may have rebooted, the longest silent first. None when it is no configured sensor's.
    """
    possible = {s: chain for s, chain in chains.items() if s not in first.not_of}
    last = [(s, c.newest) for s, c in chains.items() if s in possible or is_silent(c, first)]
    last += [(s, regretted(chain, first)) for s, chain in chains.items()]
    risen = [
        (rise, sensor)
        for sensor, before in last
        if before and (rise := risen_share(before, first)) is not None
    ]
    if risen:
        return min(risen)[1], False
    new = [sensor for sensor, chain in possible.items() if not chain.newest]
    if new:
        return new[0], False
    silent = [
        (chain.newest.heard_ts, sensor)
        for sensor, chain in possible.items()
        if chain.newest and may_have_rebooted(chain.newest, first)
    ]
    return (min(silent)[1], True) if silent else None


def is_silent(chain: Chain, first: Heard) -> bool:
    """Whether nothing was heard of a sensor for some periods."""
    if not (chain.newest and chain.intervals_s):
        return False
    return first.heard_ts - chain.newest.heard_ts > HOLD_PERIODS * median(chain.intervals_s)


def regretted(chain: Chain, first: Heard) -> Heard | None:
    """The packet before a reboot, while it may turn out that another sensor has rebooted."""
    before = chain.before_reboot
    return before if before and first.heard_ts - before.heard_ts < REGRET_S else None


def risen_share(before: Heard, first: Heard) -> float | None:
    """How far the sender's clock has risen, as a share of what it can; None: it cannot be.

    It must rise, and by no more than time has passed: wall time is the only sure bound, since
    the timer stands still while the sensor sleeps. A boot's first packet follows none.
    """
    if first.packet.padding == NO_PADDING:
        return None
    most = seconds_between(before, first) * 1000
    risen = (first.packet.timer_ms - before.packet.timer_ms) % TIMER_RANGE_MS
    return risen / most if risen and risen <= most else None


def may_have_rebooted(before: Heard, first: Heard) -> bool:
    """Whether the sender can have begun anew since its last packet."""
    return first.packet.timer_ms <= seconds_between(before, first) * 1000


def seconds_between(before: Heard, first: Heard) -> float:
    """How much time the sender may have had; without limit when the clock was set back.

    A little less than none is no such case: a held packet may be older than a trusted one.
    """
    passed_s = first.heard_ts - sent_after_ts(before)
    if passed_s < -SET_BACK_S:
        return float("inf")
    return max(0.0, passed_s) * FASTEST_CLOCK + SLACK_S


def sent_after_ts(heard: Heard) -> float:
    """The earliest time at which a packet may have been sent."""
    return heard.heard_ts if heard.sent_after_ts is None else heard.sent_after_ts


def trust(
    chains: Mapping[str, Chain],
    sensor: str,
    packets: tuple[Heard, ...],
    before: tuple[Ruling, ...],
    *,
    rebooted: bool = False,
) -> Judgement:
    """Trust packets of a sensor that follow each other without loss: one, or a held one first.

    What was held between two packets of this sensor is not its own.
    """
    chains = with_strangers(chains, sensor, packets)
    chains, packets = with_successors(chains, packets)
    chain = anew(chains[sensor]) if rebooted else took_back(chains[sensor], packets[0])
    for heard in packets:
        chain = advance(chain, heard)
    *first, last = packets
    rulings = (
        *before,
        *(proven(chain, sensor, heard, Verdict.CONFIRMED) for heard in first),
        proven(chain, sensor, last, Verdict.VERIFIED),
    )
    return Judgement({**chains, sensor: chain}, rulings, sensor if rebooted else None)


def with_successors(
    chains: Mapping[str, Chain], packets: tuple[Heard, ...]
) -> tuple[Mapping[str, Chain], tuple[Heard, ...]]:
    """Packets to trust, with those held that continue them: they were heard in another order."""
    host = next(iter(chains))
    held = chains[host].held
    while after := next((each for each in held if continues(each, packets[-1])), None):
        held = tuple(each for each in held if each is not after)
        packets = (*packets, after)
    return {**chains, host: replace(chains[host], held=held)}, packets


def with_strangers(
    chains: Mapping[str, Chain], sensor: str, packets: tuple[Heard, ...]
) -> Mapping[str, Chain]:
    """The chains with what was held since the packet before marked as not this sensor's.

    So is the newest packet, if these show that the reboot it belongs to was another's. Packets
    that come late show nothing: they may be lost ones that somebody repeats, and what is held
    may be what the sensor has sent since.
    """
    host = next(iter(chains))
    held, newest = chains[host].held, chains[sensor].newest
    *_, before, last = (newest, *packets)
    if before and not is_one_period(chains[sensor], last.heard_ts - before.heard_ts):
        return chains
    if newest and took_back(chains[sensor], packets[0]) is not chains[sensor]:
        held = (*held, newest)
    if not held:
        return chains
    since_ts = before.heard_ts if before else float("-inf")
    marked = (
        replace(each, not_of=tuple({*each.not_of, sensor}))
        if each.heard_ts >= since_ts or each is newest
        else each
        for each in held
    )
    return {**chains, host: replace(chains[host], held=tuple(marked)[-MOST_HELD:])}


def anew(chain: Chain) -> Chain:
    """Begin after a reboot; what was learned of the sensor stays."""
    return replace(
        chain,
        newest=None,
        before_reboot=chain.newest,
        wrapped=False,
        restarts=chain.restarts + 1,
    )


def took_back(chain: Chain, first: Heard) -> Chain:
    """The chain as it was before a reboot that was another sensor's, if `first` shows that."""
    before = regretted(chain, first)
    if not (chain.newest and before) or continues(first, chain.newest):
        return chain
    if risen_share(chain.newest, first) is not None or risen_share(before, first) is None:
        return chain
    return replace(chain, newest=before, before_reboot=None, restarts=chain.restarts - 1)


def advance(chain: Chain, heard: Heard) -> Chain:
    """Trust one packet; learn step, interval and loss from it."""
    before, packet = chain.newest, heard.packet
    chain = replace(chain, newest=replace(heard, not_of=()))
    if before is None:
        return chain
    interval_s = round(heard.heard_ts - before.heard_ts, 3)
    if continues(heard, before) and not is_one_period(chain, interval_s):
        late = replace(heard, sent_after_ts=sent_after_ts(before), not_of=())
        chain = replace(chain, newest=late)
    if not continues(heard, before) and not (
        proves_itself(packet) and is_one_period(chain, interval_s)
    ):
        wrapped = chain.wrapped or packet.timer_ms < before.packet.timer_ms
        return replace(chain, wrapped=wrapped, loss=with_missed(chain, interval_s))
    step_ms = (packet.timer_ms - before.packet.timer_ms) % TIMER_RANGE_MS
    return replace(
        chain,
        steps_ms=(*chain.steps_ms, step_ms)[-STEPS_KEPT:],
        intervals_s=(*chain.intervals_s, interval_s)[-INTERVALS_KEPT:]
        if interval_s > 0
        else chain.intervals_s,
        wrapped=chain.wrapped or packet.timer_ms < before.packet.timer_ms,
        loss=chain.loss * (1 - LOSS_WEIGHT),
    )


def is_one_period(chain: Chain, interval_s: float) -> bool:
    """Whether no packet can have been lost in an interval, as far as the period is known."""
    return not chain.intervals_s or interval_s < 1.5 * median(chain.intervals_s)


def with_missed(chain: Chain, interval_s: float) -> float:
    """The loss after an interval in which packets must have been lost."""
    period_s = median(chain.intervals_s) if chain.intervals_s else interval_s
    missed = min(MOST_MISSED, max(1, round(interval_s / period_s) - 1)) if period_s > 0 else 1
    received = chain.loss * (1 - LOSS_WEIGHT)
    return 1 - (1 - received) * (1 - LOSS_WEIGHT) ** missed


def proven(chain: Chain, sensor: str, heard: Heard, verdict: Verdict) -> Ruling:
    """The verdict on a proven packet: settling while the firmware's filter has not settled."""
    step_ms = median(chain.steps_ms) if chain.steps_ms else SHORTEST_STEP_MS
    settling = not chain.wrapped and heard.packet.timer_ms < SETTLING_STEPS * step_ms
    chosen = Verdict.SETTLING if settling else verdict
    return Ruling(sensor, heard.packet, heard.heard_ts, chosen)
