"""Packets -> verdicts: what is trusted of a sensor, and what proves it.

Under format v1 the padding is a chain: each packet carries the end of the one before it, which
nobody without the key can continue. A packet that continues a sensor's trusted one is verified;
any other is held until the next continues it. Then both were sent by a holder of the key: by the
sensor whose timer must be there by now. If it is nobody's, a new chain begins, that of a sensor
which has restarted and is silent since, or of a stranger, who is followed like a sensor from then
on. Format v1.1 proves itself, and is judged like two packets that continue each other. Trusted
state advances on proven packets only, so no forged packet can mute a sensor.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import median

from cw_mqtt.decode.packets import NO_PADDING, proves_itself
from cw_mqtt.model import Chain, Heard, Kept, Verdict

TIMER_RANGE_MS = 2**32
MOST_HELD = 8
HELD_A_SENSOR = 2  # of many that share a key, each must find its first packet when the second comes
MOST_STRANGERS = 8
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
STRANGER_FARTHER = 10
LAG_KEPT = 0.9
LOSS_WEIGHT = 0.01
MOST_MISSED = 10  # in one go; after a longer silence the bridge may not have listened

Sender = str | int  # a configured sensor, or a stranger by its number


@dataclass(frozen=True, slots=True)
class Ruling:
    """The verdict on one packet, given now or after it was held.

    What is no sensor's, or of a sender not known yet, is told under the first one with the key.
    """

    sensor: str
    heard: Heard
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one packet changed: the chains that changed, and verdicts in order of time."""

    chains: Mapping[str, Chain]
    kept: Kept
    rulings: tuple[Ruling, ...]
    restarted: str | None = None


def judge(chains: Mapping[str, Chain], kept: Kept, newest: Heard) -> Judgement:
    """Judge a plausible packet, never heard before, by what is known under its key.

    `chains` are those of the sensors that share the key, `kept` is what is none of theirs.
    """
    case = _Case(chains, kept, newest)
    case.hear(newest)
    return case.judgement()


class _Case:
    """One packet before the judge, and what changes on the way to the judgement."""

    def __init__(self, chains: Mapping[str, Chain], kept: Kept, newest: Heard) -> None:
        self._now_ts = newest.heard_ts
        self._before = chains
        self._host = next(iter(chains))
        self._chains: dict[Sender, Chain] = {}  # the sensors first: an end can be copied
        self._chains.update(chains.items())
        self._chains.update(enumerate(kept.strangers))
        self._held = list(kept.held)
        self._rulings: list[Ruling] = []
        self._restarted: str | None = None

    def judgement(self) -> Judgement:
        strangers = [chain for sender, chain in self._chains.items() if isinstance(sender, int)]
        strangers.sort(key=last_ts)
        changed = {s: self._chains[s] for s, c in self._before.items() if self._chains[s] is not c}
        kept = Kept(tuple(self._held), tuple(strangers[-MOST_STRANGERS:]))
        return Judgement(changed, kept, tuple(self._rulings), self._restarted)

    def hear(self, newest: Heard) -> None:
        sender = next((s for s, c in self._chains.items() if continues(newest, c.newest)), None)
        first = next((held for held in self._held if proves(newest, held)), None)
        if sender is not None or proves_itself(newest.packet):
            run = [newest]
        elif first:
            run = [first, newest]
            self._held.remove(first)
        else:
            self._hold(newest)
            return
        while after := next((held for held in self._held if continues(held, run[-1])), None):
            run.append(after)  # they were heard in another order
            self._held.remove(after)
        self._give_up(newest)
        self._follow(self._nearest(run[0]) if sender is None else sender, run, newest)

    def _hold(self, newest: Heard) -> None:
        self._give_up(newest)
        first = next((held for held in self._held if is_first(held)), None)
        if first and is_first(newest):  # two boots, and of the one before only this was heard
            self._held.remove(first)
            self._follow(None, [first], newest)
        self._held.append(newest)
        self._rulings.append(Ruling(self._host, newest, Verdict.HELD))

    def _give_up(self, newest: Heard) -> None:
        """Give up what has waited for too long, and beyond a few the oldest."""
        spare = self._held[: 1 - max(MOST_HELD, HELD_A_SENSOR * len(self._before))]
        for held in tuple(self._held):
            if held in spare or newest.heard_ts - held.heard_ts > PATIENCE_S:
                self._held.remove(held)
                self._rulings.append(Ruling(self._host, held, Verdict.UNVERIFIED))

    def _nearest(self, first: Heard) -> Sender | None:
        """Who must have sent a proven packet, when some before it were lost.

        A stranger's chain may be of a sensor's own packets, lost here and repeated by somebody:
        where both are about as near, it is the sensor's.
        """
        near = []
        for sender, chain in self._chains.items():
            ours, far = isinstance(sender, str), distance(chain, first, self._now_ts)
            is_recent = self._now_ts - last_ts(chain) <= PATIENCE_S
            if far is not None and (ours or is_recent or is_steady(chain)):
                near.append((far if ours else STRANGER_FARTHER * far, sender))
        return min(near, key=lambda each: each[0], default=(0.0, None))[1]

    def _follow(self, sender: Sender | None, run: list[Heard], newest: Heard) -> None:
        """Take packets that follow each other into their sender's chain, and rule on them."""
        begins = sender is None
        if sender is None:
            sender = self._add_stranger(Chain())
        in_time = is_in_time(self._chains[sender], run[0])
        for heard in run:
            self._chains[sender] = advanced(self._chains[sender], heard)
        chain = self._chains[sender]
        if isinstance(sender, int):
            owner = self._adopted(sender, begins=begins, in_time=in_time)
        else:
            owner = sender
            self._chains[owner] = not_restarted(chain)
        for heard in run:
            verdict = Verdict.VERIFIED if heard is newest else Verdict.CONFIRMED
            if owner is None:
                verdict = Verdict.FOREIGN
            elif is_settling(chain, heard):
                verdict = Verdict.SETTLING
            self._rulings.append(Ruling(owner or self._host, heard, verdict))

    def _add_stranger(self, chain: Chain) -> int:
        number = 1 + max((s for s in self._chains if isinstance(s, int)), default=-1)
        self._chains[number] = chain
        return number

    def _adopted(self, number: int, *, begins: bool, in_time: bool) -> str | None:
        """The sensor whose packet has come in a chain that was not known to be a sensor's."""
        chain = self._chains[number]
        if chain.was:
            return self._taken_back(number) if in_time else None
        owner = self._owner(number) if begins or self._is_young(chain) else None
        if owner is None:
            return None
        old = self._chains[owner]
        settling = old.newest and chain.newest and is_settling(chain, chain.newest)
        if isinstance(owner, int):
            if not settling:  # a stranger has restarted
                self._chains[owner] = replace(old, newest=chain.newest, wrapped=chain.wrapped)
                del self._chains[number]
            return None
        restarted = old.newest and chain.newest and not may_go_on(old, chain.newest, self._now_ts)
        if restarted and (begins or not old.unsettled):
            old = replace(old, restarts=old.restarts + 1, unsettled=old.unsettled + 1)
            self._chains[owner] = old
            self._restarted = owner
        if not settling:
            self._replace(owner, number)
        return owner

    def _replace(self, sensor: str, number: int) -> None:
        """Go on with another chain as a sensor's; its own is kept, should it prove alive."""
        old, chain = self._chains[sensor], self._chains.pop(number)
        silent_s = chain.since_ts - last_ts(old)
        lag_s = silent_s if old.newest and silent_s > PATIENCE_S else 0.0
        self._chains[sensor] = replace(chain, restarts=old.restarts, loss=old.loss, lag_s=lag_s)
        if old.newest:
            self._add_stranger(replace(old, was=sensor))

    def _taken_back(self, number: int) -> str | None:
        """The sensor that has not restarted after all, soon after it seemed to."""
        chain = self._chains[number]
        present = self._chains.get(chain.was)
        if present is None or self._now_ts - present.since_ts > PATIENCE_S:
            return None
        del self._chains[number]
        self._chains[chain.was] = not_restarted(replace(chain, was=""))
        self._add_stranger(present)
        return chain.was

    def _owner(self, number: int) -> Sender | None:
        """Who has restarted, if a chain shows a restart; else a sensor never heard before.

        It is who fell silent last and stayed silent since, stranger or not: a change of the
        battery takes minutes. After a longer silence it is a sensor only.
        """
        chain = self._chains[number]
        silent = [
            (last_ts(other), sender)
            for sender, other in self._chains.items()
            if may_be_of(other, chain, self._held, self._now_ts)
            and (isinstance(sender, str) or (is_steady(other) and not self._is_young(other)))
        ]
        recent = [each for each in silent if self._now_ts - each[0] <= PATIENCE_S]
        unheard = [(0.0, s) for s, other in self._chains.items() if not other.newest]
        sensors = [each for each in silent if isinstance(each[1], str)]
        possible = recent or unheard or sensors
        return max(possible, key=lambda each: each[0])[1] if possible else None

    def _is_young(self, chain: Chain) -> bool:
        """Whether it is still open whose a chain is."""
        return len(chain.steps_ms) < ENOUGH or self._now_ts - chain.since_ts <= PATIENCE_S


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


def tails(chains: Iterable[Chain], kept: Kept) -> Iterator[bytes]:
    """What the padding of a packet is that continues something known."""
    for chain in (*chains, *kept.strangers):
        if chain.newest:
            yield chain.newest.packet.tail
    yield from (held.packet.tail for held in kept.held)


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
    if not continues(heard, before) and (
        not proves_itself(heard.packet) or step_ms > 1.5 * usual_ms
    ):
        missed = min(MOST_MISSED, max(1, round(step_ms / usual_ms) - 1))
        received = chain.loss * (1 - LOSS_WEIGHT)
        return replace(chain, loss=1 - (1 - received) * (1 - LOSS_WEIGHT) ** missed)
    chain = replace(chain, loss=chain.loss * (1 - LOSS_WEIGHT))
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
