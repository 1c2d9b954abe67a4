"""One frame's journey. Read this first.

    chunk -> payload (decode.framing) -> packet (decode.packets) -> verdict (decode.verify)
          -> reading -> energy total (measure.energy) -> journal, committed -> the sinks wake

Receivers hand their chunks over from their own threads; everything else happens in the bridge's
one thread. What many chunks change goes into one commit when they come faster than the disk.
"""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cw_mqtt.chunks import ChunkQueue
from cw_mqtt.clock import Clocks
from cw_mqtt.config.settings import SensorSettings, Settings
from cw_mqtt.dating import Dating
from cw_mqtt.decode.framing import Framer, Openings, Told
from cw_mqtt.decode.packets import Keyring, Opened, SensorKey, fingerprint
from cw_mqtt.decode.verify import Ruling, judge, tails
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.health import Health
from cw_mqtt.hearing import Hearing
from cw_mqtt.journal import Journal
from cw_mqtt.loading import load_totals
from cw_mqtt.measure.energy import add_measure
from cw_mqtt.measure.tariff import is_night, price_per_kwh
from cw_mqtt.model import (
    Chunk,
    Energy,
    Event,
    Form,
    Heard,
    Kept,
    Reading,
    SensorState,
    Verdict,
    iso_utc,
)

log = logging.getLogger(__name__)

MOST_UNCOMMITTED = 10_000  # readings of a journal that refuses, minutes to a day of them
MOST_EVENTS_WAITING = 100
TOTALS_WITHIN_S = 5.0
PROVEN = (Verdict.VERIFIED, Verdict.CONFIRMED, Verdict.SETTLING)
TOLD_AGAIN_S = 600.0
RESTARTS_TOLD = 3  # one after the other, without a packet whose power is right
EVENTS = {Verdict.REPLAYED: "replay_rejected", Verdict.FOREIGN: "unknown_sensor"}
WORDS = {
    "sensor_rebooted": (logging.INFO, "has restarted, as after a change of the battery"),
    "sensor_keeps_restarting": (
        logging.WARNING,
        "restarts so soon that its power is never right; see to battery, solder joints, supply",
    ),
    "replay_rejected": (logging.WARNING, "a packet heard before was sent once more; refused"),
    "unknown_sensor": (
        logging.WARNING,
        "hears packets under its key that cannot be its own, and leaves them out",
    ),
    "previous_key_used": (logging.WARNING, "still uses one of its previous_keys"),
    "new_key_used": (logging.INFO, "uses its new key now; its previous_keys can go"),
}


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


class Bridge:
    """Takes chunks, keeps each sensor's state, commits what they change.

    `events` is a bounded ring that the publisher empties. `hearing` knows who is silent.
    """

    name = "bridge"
    longest_pause_s = 5.0
    when_stuck = (
        "the disk of data_dir does not answer: see whether it fails (dmesg), or is a network "
        "drive that hangs"
    )

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        health: Health,
        events: deque[Event],
        clocks: Clocks | None = None,
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._health = health
        self._events = events
        self._sensors = {sensor.slug: sensor for sensor in settings.sensors}
        self.hearing = Hearing(settings, health)
        self._chunks = ChunkQueue()
        keys = sensor_keys(settings.sensors)
        self._framers = {
            r.name: Framer(r.form, Keyring(keys, r.name, self._expected).open)
            for r in settings.receivers
        }
        self._keys = [(key.sensor, fingerprint(key.key)) for key in keys]
        owners = Counter(key.key for key in keys)
        self._sharing = {key.sensor for key in keys if owners[key.key] > 1}
        self._batch: Batch | None = None  # judged; the journal has refused it so far
        self._told_ts: dict[tuple[str, str | None], float] = {}
        self._states: dict[str, SensorState] = {}  # of the batch in hand, ahead of the journal
        self._kept: dict[str, Kept] = {}
        self._losing = False
        self._totals_loaded = threading.Event()
        self._dating = Dating(
            journal, health, lambda ts: is_night(ts, settings), clocks or Clocks()
        )
        for slug, sensor in self._sensors.items():
            if slug not in journal.states():
                identity = fingerprint(sensor.key.get_secret_value())
                journal.commit([SensorState(slug, identity=identity)])
        health.ask("sensors", answer=self._report_sensors)
        health.ask("journal", "queue", answer=lambda: len(self._chunks))

    def receive(self, chunk: Chunk) -> None:
        """Take a chunk from a receiver's thread; waits a little when thousands wait already.

        If that does not help, the journal has been out of order for long: the chunk is lost,
        and counted.
        """
        if not self._chunks.put(chunk):
            self._health.count("receivers", chunk.receiver, "chunks_lost")

    def now(self) -> float:
        """The time in the terms of what was dated, see `Dating`."""
        return self._dating.now()

    def wake(self) -> None:
        """Let a waiting `serve` go on."""
        self._totals_loaded.set()
        self._chunks.wake()

    def serve(self, stopping: threading.Event, works: Callable[[], None]) -> None:
        """Work through the chunks until `stopping` is set and none is left.

        The database has a moment to tell the totals, so that the first reading joins what was
        before; should it be away, the bridge goes on alone.
        """
        self._totals_loaded.wait(TOTALS_WITHIN_S)
        self.process(())  # what the journal has refused before
        if not self._chunks:
            works()
        while (chunks := self._chunks.take(stopping)) is not None:
            self.process(chunks)
            if not self._chunks:  # otherwise who seems silent may wait there
                self.hearing.look(self._journal.states())
            works()

    def process(self, chunks: Collection[Chunk]) -> None:
        """Take chunks on the whole journey, in one commit.

        Raises `ResourceAwayError` when the journal cannot be written; what was judged is kept,
        up to a bound, and goes with the next call.
        """
        dated = self._dating.dated(chunks, follow=self._batch is None)
        batch = self._batch or self._new_batch()
        self._states, self._kept = batch.states, batch.kept
        for chunk, openings in self._cut(dated):
            self._judge(chunk, openings, batch)
        self._batch = None  # what no try could commit must not come back
        try:
            self._commit(batch)
        except ResourceAwayError:
            self._batch = batch
            self._bound(batch)
            raise
        self._losing = False
        self._tell(batch.events)

    def _new_batch(self) -> Batch:
        known = self._journal.states()
        return Batch(known, {slug: known[slug] for slug in self._sensors})

    def _commit(self, batch: Batch) -> None:
        """Add up the readings, and make all durable that a packet has changed.

        Energy is added up here, since other threads change totals too, and judging, which takes
        long, must not keep them waiting.
        """
        with self._journal.lock:
            known = self._journal.states()
            changed = {
                state.sensor: with_known(state, known[state.sensor]) for state in batch.changed()
            }
            for reading in batch.readings:
                state = changed[reading.sensor]
                if reading.verdict.counts:
                    energy = self._counted(state.energy, reading)
                    changed[reading.sensor] = replace(state, energy=energy, latest=reading)
            if batch.readings or batch.heard:
                self._journal.commit(changed.values(), batch.readings, batch.heard, batch.kept)
            else:  # refused repeats, of which anybody may send many
                self._journal.note(changed.values())

    def _bound(self, batch: Batch) -> None:
        """Give up the oldest of what the journal refuses."""
        for payload in list(batch.heard)[:-MOST_UNCOMMITTED]:
            del batch.heard[payload]
        lost = batch.readings[:-MOST_UNCOMMITTED]
        del batch.readings[: len(lost)]
        self._health.count("journal", "lost", by=len(lost))
        if lost and not self._losing:
            log.error("the journal has refused for long: the oldest readings are lost")
        self._losing = bool(lost)

    @property
    def knows_totals(self) -> bool:
        """Whether the database has been asked for the totals since the start."""
        return self._totals_loaded.is_set()

    def load(self, known: Mapping[str, SensorState], seq: int) -> None:
        """Take over what the database knows of the sensors, up to the journal's reading `seq`."""
        load_totals(self._journal, self._sensors, known, seq, self._counted)
        self._totals_loaded.set()
        self._journal.ring()

    def _expected(self, opened: Opened) -> Iterator[bytes]:
        """The paddings that would continue what is known under a key."""
        chains = (self._states[slug].chain for slug in opened.sensors)
        return tails(chains, self._kept_under(opened.key))

    def _kept_under(self, key: str) -> Kept:
        return self._kept.get(key) or self._journal.kept().get(key) or Kept()

    def _cut(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Openings]]:
        for chunk in chunks:
            framer = self._framers[chunk.receiver]
            for piece in framer.feed(chunk):
                if isinstance(piece, Told):
                    text = " ".join((piece.kind, *piece.fields))
                    self._health.show("receivers", chunk.receiver, "told", value=text)
                else:
                    yield chunk, piece
            for what, count in framer.counts.items():
                self._health.show("receivers", chunk.receiver, what, value=count)
            self.hearing.useless(chunk.receiver, framer.counts["undecryptable"])

    def _judge(self, chunk: Chunk, openings: Openings, batch: Batch) -> None:
        """Judge one packet under each key that may have made it."""
        first = openings[0]
        payload, keys = first.packet.payload, {opened.key for opened in openings}
        repeated = self.hearing.is_repeated(chunk, payload)
        if payload in batch.heard or self._journal.was_heard(payload):
            verdict = Verdict.DUPLICATE if repeated else Verdict.REPLAYED
            again = Heard(first.packet, chunk.heard_ts)
            self._rule(Ruling(self._sender(first), again, verdict), batch)
            return
        batch.heard[payload] = None
        for opened in openings:
            elsewhere = tuple(keys - {opened.key})
            heard = Heard(opened.packet, chunk.heard_ts, elsewhere)
            ruling = self._judge_under(opened, heard, batch)
            if ruling.verdict in PROVEN:
                self._note_heard(ruling, batch, previous=ruling.sensor in opened.previous)
                self.hearing.proven(chunk, ruling.sensor)

    def _sender(self, opened: Opened) -> str:
        """Whose newest packet this is, else the first sensor with its key."""
        for slug in opened.sensors:
            newest = self._states[slug].chain.newest
            if newest and newest.packet.payload == opened.packet.payload:
                return slug
        return opened.sensors[0]

    def _judge_under(self, opened: Opened, heard: Heard, batch: Batch) -> Ruling:
        """Judge a packet by what is known under its key, and change that; the ruling on it."""
        chains = {slug: self._states[slug].chain for slug in opened.sensors}
        kept = self._kept_under(opened.key)
        judgement = judge(chains, kept, heard)
        if judgement.kept != kept:
            batch.kept[opened.key] = judgement.kept
        for slug, chain in judgement.chains.items():
            self._states[slug] = replace(self._states[slug], chain=chain)
        if judgement.restarted:
            batch.events += restart_events(self._states[judgement.restarted], heard.heard_ts)
        for ruling in judgement.rulings:
            self._rule(ruling, batch)
        return next(ruling for ruling in judgement.rulings if ruling.heard is heard)

    def _rule(self, ruling: Ruling, batch: Batch) -> None:
        """Let one verdict take effect: counted, and if it is a reading, measured and kept."""
        state, verdict, heard = self._states[ruling.sensor], ruling.verdict, ruling.heard
        log.debug("%s: %s, %d W", state.sensor, verdict, heard.packet.power_w)
        verdicts = {**state.verdicts, verdict: state.verdicts.get(verdict, 0) + 1}
        self._states[state.sensor] = replace(state, verdicts=verdicts)
        if verdict in EVENTS:
            batch.events.append(Event(EVENTS[verdict], heard.heard_ts, state.sensor))
        if verdict in PROVEN or (verdict is Verdict.UNVERIFIED and self._is_surely_of(ruling)):
            batch.readings.append(self._reading(self._sensors[state.sensor], ruling))
        if verdict not in (Verdict.HELD, Verdict.UNVERIFIED):
            for key in heard.elsewhere:  # where it is proven not to be from
                kept = self._kept_under(key)
                held = tuple(h for h in kept.held if h.packet.payload != heard.packet.payload)
                batch.kept[key] = replace(kept, held=held)

    def _is_surely_of(self, ruling: Ruling) -> bool:
        """Whether a packet that nothing proved can be from one sensor only."""
        return not ruling.heard.elsewhere and ruling.sensor not in self._sharing

    def _note_heard(self, ruling: Ruling, batch: Batch, *, previous: bool) -> None:
        """Notice when a sensor was heard, and when it changes between its key and another."""
        before, heard_ts = self._states[ruling.sensor], ruling.heard.heard_ts
        state = replace(before, seen_ts=heard_ts, previous_key=previous)
        self._states[ruling.sensor] = state
        if state.previous_key != before.previous_key:
            kind = "previous_key_used" if previous else "new_key_used"
            batch.events.append(Event(kind, heard_ts, ruling.sensor))

    def _counted(self, energy: Energy, reading: Reading) -> Energy:
        """The energy after a reading that counts."""
        return add_measure(
            energy,
            reading.ts,
            reading.power_w,
            night=reading.night,
            max_gap_s=self._settings.energy.max_gap_s,
            price_per_kwh=price_per_kwh(reading.ts, self._settings, night=reading.night),
        )

    def _tell(self, events: Iterable[Event]) -> None:
        """Log what happened and hand it to the publisher; the same thing once in ten minutes."""
        for event in events:
            known_ts = self._told_ts.get((event.type, event.sensor), float("-inf"))
            if 0 <= event.ts - known_ts < TOLD_AGAIN_S:
                continue
            self._told_ts[event.type, event.sensor] = event.ts
            level, text = WORDS[event.type]
            log.log(level, "%s: %s", event.sensor, text)
            self._events.append(replace(event, text=text))
            self._journal.ring()

    def _reading(self, sensor: SensorSettings, ruling: Ruling) -> Reading:
        packet, ts = ruling.heard.packet, int(ruling.heard.heard_ts)
        return Reading(
            sensor.slug,
            ts,
            round(packet.power_w * sensor.power_scale, 1),
            packet.voltage_v,
            packet.battery_mv,
            ruling.verdict,
            is_night(ts, self._settings),
        )

    def _report_sensors(self) -> Mapping[str, Any]:
        states = self._journal.states()
        now_ts = self.now()
        kept = self._journal.kept()
        reports = {slug: report_sensor(states[slug], now_ts) for slug in self._sensors}
        for slug, key in self._keys:
            reports[slug]["held"] += len(kept[key].held) if key in kept else 0
        return reports


def with_known(judged: SensorState, known: SensorState) -> SensorState:
    """A judged state with what other threads may have changed meanwhile."""
    return replace(judged, energy=known.energy, latest=known.latest, identity=known.identity)


def sensor_keys(sensors: Iterable[SensorSettings]) -> list[SensorKey]:
    """Every key under which a sensor is accepted."""
    return [
        SensorKey(
            sensor.slug,
            key.get_secret_value(),
            sensor.max_power_w,
            frozenset(sensor.receivers) if sensor.receivers else None,
            None if sensor.format == "auto" else Form(sensor.format),
            previous=key is not sensor.key,
        )
        for sensor in sensors
        for key in (sensor.key, *sensor.previous_keys)
    ]


def restart_events(state: SensorState, ts: float) -> list[Event]:
    """What is told of a sensor that has just restarted."""
    kinds = ["sensor_rebooted"]
    if state.chain.unsettled == RESTARTS_TOLD:
        kinds.append("sensor_keeps_restarting")
    return [Event(kind, ts, state.sensor) for kind in kinds]


def report_sensor(state: SensorState, now_ts: float) -> dict[str, Any]:
    """What `/health` says of a sensor: no power, no energy, no key."""
    chain, seen_ts = state.chain, state.seen_ts
    return {
        "last_seen": iso_utc(seen_ts) if seen_ts else None,
        "last_seen_s_ago": round(now_ts - seen_ts, 1) if seen_ts else None,
        "interval_s": round(chain.interval_s, 3) if chain.interval_s else None,
        "loss": round(chain.loss, 4),
        "restarts": chain.restarts,
        "held": 0,
        "keeps_restarting": chain.unsettled >= RESTARTS_TOLD,
        "key": "previous" if state.previous_key else "current",
        "total_loaded": state.energy.loaded,
        "heard": {str(verdict): count for verdict, count in state.verdicts.items()},
    }
