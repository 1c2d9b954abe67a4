"""Packets -> verdicts: what is trusted of a sensor, and what proves it.

Under format v1 the padding is a chain: each packet carries the end of the one before it, which
nobody without the key can continue. Trusted state advances on proven packets only, so no forged
packet can mute a sensor. Strangers with our key are followed like sensors.

What a plausible packet is, and what becomes of it (`_Case`; duplicates and replays never come):

    the packet                            whose it is                       verdict
    ------------------------------------  --------------------------------  -----------------------
    continues a sender's newest           that sender's                     as below
    continues a held one (`proves`),      the sender's whose timer must     as below; the held one
      or proves itself (v1.1)               be there by now (`_nearest`)      is ruled on with it
                                          nobody's: a new chain begins      as below
    none of these                         not known yet                     HELD
    held for `PATIENCE_S`, or pushed out  will not be known                 UNVERIFIED

    the sender of a proven packet         what changes (`_follow`)          verdict
    ------------------------------------  --------------------------------  -----------------------
    a sensor                              its chain advances                VERIFIED (the newest),
                                                                            CONFIRMED (what waited)
    a sensor, in the first of a boot      its chain advances                SETTLING
    a new chain, and a sensor can have    the sensor has restarted: it      as a sensor's
      restarted (`_owner`)                  goes on with that chain
    a chain that was a sensor's before    it had not restarted after all    as a sensor's
      it seemed to restart                  (`_taken_back`)
    any other chain                       a stranger's, kept                FOREIGN
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from cw_mqtt.decode.chain import (
    ENOUGH,
    PATIENCE_S,
    advanced,
    continues,
    distance,
    is_first,
    is_in_time,
    is_settling,
    is_steady,
    last_ts,
    may_be_of,
    may_go_on,
    not_restarted,
    proves,
)
from cw_mqtt.decode.packets import proves_itself
from cw_mqtt.model import Chain, Heard, Kept, Verdict

MOST_HELD = 8
HELD_A_SENSOR = 2  # of many that share a key, each must find its first packet when the second comes
MOST_STRANGERS = 8
STRANGER_FARTHER = 10

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


def tails(chains: Iterable[Chain], kept: Kept) -> Iterator[bytes]:
    """What the padding of a packet is that continues something known."""
    for chain in (*chains, *kept.strangers):
        if chain.newest:
            yield chain.newest.packet.tail
    yield from (held.packet.tail for held in kept.held)
