"""What one packet changes, by what is known of the sensors that may have sent it."""

import logging
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cw_mqtt.bridge.events import EVENTS
from cw_mqtt.bridge.silence import RESTARTS_TOLD, SilenceWatch
from cw_mqtt.config.settings import SensorSettings, Settings
from cw_mqtt.decode.framing import Decryptions
from cw_mqtt.decode.packets import Decrypted, SensorKey, fingerprint
from cw_mqtt.decode.verify import Ruling, judge, tails
from cw_mqtt.journal.journal import Journal
from cw_mqtt.measure.tariff import Contract
from cw_mqtt.model import PROVEN, Chunk, Event, Heard, Kept, Reading, SensorState, Verdict

log = logging.getLogger(__name__)

MOST_EVENTS_WAITING = 100


@dataclass(slots=True)
class Batch:
    """What packets have changed and the journal does not have yet.

    `before` are the states that `states` began with; `heard` is in order of hearing.
    """

    before: Mapping[str, SensorState]
    states: dict[str, SensorState]
    kept: dict[str, Kept] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=MOST_EVENTS_WAITING))
    heard: dict[bytes, None] = field(default_factory=dict)

    def changed(self) -> list[SensorState]:
        """The states that are no longer as they were."""
        return [state for slug, state in self.states.items() if state is not self.before[slug]]

    def forget_oldest(self, most: int) -> int:
        """Keep the newest `most` of the readings and of what was heard; how many readings go."""
        for payload in list(self.heard)[:-most]:
            del self.heard[payload]
        lost = self.readings[:-most]
        del self.readings[: len(lost)]
        return len(lost)


class PacketJudge:
    """Judges packets, and gathers in `batch` what they change; for one thread."""

    def __init__(
        self,
        settings: Settings,
        contract: Contract,
        keys: Sequence[SensorKey],
        journal: Journal,
        silence: SilenceWatch,
    ) -> None:
        self._contract = contract
        self._sensors = {sensor.slug: sensor for sensor in settings.sensors}
        self._journal = journal
        self._silence = silence
        self._keys = [(key.sensor, fingerprint(key.key)) for key in keys]
        owners = Counter(key.key for key in keys)
        self._sharing = {key.sensor for key in keys if owners[key.key] > 1}
        self.batch = Batch({}, {})

    def begin(self) -> None:
        """Begin a batch, with what the journal knows."""
        known = self._journal.states()
        self.batch = Batch(known, {slug: known[slug] for slug in self._sensors})

    def held(self) -> Mapping[str, int]:
        """How many packets wait for their proof under the keys of each sensor; for any thread."""
        kept = self._journal.kept()
        count: Counter[str] = Counter()
        for slug, key in self._keys:
            count[slug] += len(kept[key].held) if key in kept else 0
        return count

    def expected(self, opened: Decrypted) -> Iterator[bytes]:
        """The paddings that would continue what is known under a key."""
        chains = (self.batch.states[slug].chain for slug in opened.sensors)
        return tails(chains, self._kept_under(opened.key))

    def judge(self, chunk: Chunk, decryptions: Decryptions) -> None:
        """Judge one packet under each key that may have made it."""
        first = decryptions[0]
        payload, keys = first.packet.payload, {opened.key for opened in decryptions}
        repeated = self._silence.is_repeated(chunk, payload)
        if payload in self.batch.heard or self._journal.was_heard(payload):
            verdict = Verdict.DUPLICATE if repeated else Verdict.REPLAYED
            again = Heard(first.packet, chunk.heard_ts)
            self._rule(Ruling(self._sender(first), again, verdict))
            return
        self.batch.heard[payload] = None
        for opened in decryptions:
            elsewhere = tuple(keys - {opened.key})
            heard = Heard(opened.packet, chunk.heard_ts, elsewhere)
            ruling = self._judge_under(opened, heard)
            if ruling.verdict in PROVEN:
                self._note_heard(ruling, previous=ruling.sensor in opened.previous)
                self._silence.proven(chunk.receiver)

    def _sender(self, opened: Decrypted) -> str:
        """Whose newest packet this is, else the first sensor with its key."""
        for slug in opened.sensors:
            newest = self.batch.states[slug].chain.newest
            if newest and newest.packet.payload == opened.packet.payload:
                return slug
        return opened.sensors[0]

    def _judge_under(self, opened: Decrypted, heard: Heard) -> Ruling:
        """Judge a packet by what is known under its key, and change that; the ruling on it."""
        states, kept = self.batch.states, self._kept_under(opened.key)
        chains = {slug: states[slug].chain for slug in opened.sensors}
        judgement = judge(chains, kept, heard)
        if judgement.kept != kept:
            self.batch.kept[opened.key] = judgement.kept
        for slug, chain in judgement.chains.items():
            self.batch.states[slug] = replace(self.batch.states[slug], chain=chain)
        if judgement.restarted:
            self.batch.events += restart_events(
                self.batch.states[judgement.restarted], heard.heard_ts
            )
        for ruling in judgement.rulings:
            self._rule(ruling)
        return next(ruling for ruling in judgement.rulings if ruling.heard is heard)

    def _kept_under(self, key: str) -> Kept:
        return self.batch.kept.get(key) or self._journal.kept().get(key) or Kept()

    def _rule(self, ruling: Ruling) -> None:
        """Let one verdict take effect: counted, and if it is a reading, measured and kept."""
        state, verdict, heard = self.batch.states[ruling.sensor], ruling.verdict, ruling.heard
        log.debug("%s: %s, %d W", state.sensor, verdict, heard.packet.power_w)
        verdicts = {**state.verdicts, verdict: state.verdicts.get(verdict, 0) + 1}
        self.batch.states[state.sensor] = replace(state, verdicts=verdicts)
        if verdict in EVENTS:
            self.batch.events.append(Event(EVENTS[verdict], heard.heard_ts, state.sensor))
        if verdict in PROVEN or (verdict is Verdict.UNVERIFIED and self._is_surely_of(ruling)):
            self.batch.readings.append(self._reading(self._sensors[state.sensor], ruling))
        if verdict not in (Verdict.HELD, Verdict.UNVERIFIED):
            for key in heard.elsewhere:  # where it is proven not to be from
                kept = self._kept_under(key)
                held = tuple(h for h in kept.held if h.packet.payload != heard.packet.payload)
                self.batch.kept[key] = replace(kept, held=held)

    def _is_surely_of(self, ruling: Ruling) -> bool:
        """Whether a packet that nothing proved can be from one sensor only."""
        return not ruling.heard.elsewhere and ruling.sensor not in self._sharing

    def _note_heard(self, ruling: Ruling, *, previous: bool) -> None:
        """Notice when a sensor was heard, and when it changes between its key and another."""
        before, heard_ts = self.batch.states[ruling.sensor], ruling.heard.heard_ts
        state = replace(before, seen_ts=heard_ts, previous_key=previous)
        self.batch.states[ruling.sensor] = state
        if state.previous_key != before.previous_key:
            kind = "previous_key_used" if previous else "new_key_used"
            self.batch.events.append(Event(kind, heard_ts, ruling.sensor))

    def _reading(self, sensor: SensorSettings, ruling: Ruling) -> Reading:
        packet, ts = ruling.heard.packet, int(ruling.heard.heard_ts)
        return Reading(
            sensor.slug,
            ts,
            round(packet.power_w * sensor.power_scale, 1),
            packet.voltage_v,
            packet.battery_mv,
            ruling.verdict,
            self._contract.is_night(ts),
        )


def restart_events(state: SensorState, ts: float) -> list[Event]:
    """What is told of a sensor that has just restarted."""
    kinds = ["sensor_rebooted"]
    if state.chain.unsettled == RESTARTS_TOLD:
        kinds.append("sensor_keeps_restarting")
    return [Event(kind, ts, state.sensor) for kind in kinds]
