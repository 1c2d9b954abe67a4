"""One frame's journey. Read this first.

    chunk -> dated (clock_guard) -> payload (decode.framing) -> packet (decode.packets)
          -> verdict (judge, by decode.verify) -> reading -> energy total (measure.energy)
          -> journal, committed -> the sinks wake

Receivers hand their chunks over from their own threads; everything else happens in the bridge's
one thread. What many chunks change goes into one commit when they come faster than the disk.
"""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from cw_mqtt.bridge.clock_guard import ClockGuard
from cw_mqtt.bridge.events import Announcer
from cw_mqtt.bridge.judge import Batch, PacketJudge
from cw_mqtt.bridge.recovery import load_totals
from cw_mqtt.bridge.silence import SilenceWatch, report_sensor
from cw_mqtt.config.keys import sensor_keys
from cw_mqtt.config.settings import Settings
from cw_mqtt.decode.framing import Decryptions, Framer, StatusLine
from cw_mqtt.decode.packets import Keyring, fingerprint
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.journal.journal import Journal
from cw_mqtt.measure.energy import add_measure, never_less
from cw_mqtt.measure.tariff import Contract
from cw_mqtt.model import Chunk, Energy, Event, Reading, SensorState
from cw_mqtt.runtime.clock import Clocks
from cw_mqtt.runtime.health import Health

log = logging.getLogger(__name__)

MOST_UNCOMMITTED = 10_000  # readings of a journal that refuses, minutes to a day of them
TOTALS_WITHIN_S = 5.0


class Bridge:
    """Takes chunks, keeps each sensor's state, commits what they change.

    `events` is a bounded ring that the publisher empties. `silence` knows who is silent.
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
        self._contract = Contract(settings)
        self._max_gap_s = settings.energy.max_gap_s
        self._journal = journal
        self._health = health
        self._sensors = {sensor.slug: sensor for sensor in settings.sensors}
        self.silence = SilenceWatch(settings, health)
        self._chunks = ChunkQueue()
        keys = sensor_keys(settings.sensors)
        self._packets = PacketJudge(settings, self._contract, keys, journal, self.silence)
        self._framers = {
            r.name: Framer(r.form, Keyring(keys, r.name, self._packets.expected).open)
            for r in settings.receivers
        }
        self._announcer = Announcer(journal, events)
        self._refused = False  # by the journal, what was judged
        self._losing = False
        self._totals_loaded = threading.Event()
        self._clock_guard = ClockGuard(journal, health, self._contract.is_night, clocks or Clocks())
        self._begin_totals()
        health.ask("sensors", answer=self._report_sensors)
        health.ask("journal", "queue", answer=lambda: len(self._chunks))

    def _begin_totals(self) -> None:
        """Let each sensor have a total of each tariff, also of one that has not come yet."""
        known = self._journal.states()
        none_yet = Energy(tariffs_j=dict.fromkeys(self._contract.tariffs, 0.0))
        for slug, sensor in self._sensors.items():
            identity = fingerprint(sensor.key.get_secret_value())
            state = known.get(slug, SensorState(slug, identity=identity))
            begun = replace(state, energy=never_less(state.energy, none_yet))
            if begun != known.get(slug):
                self._journal.commit([begun])

    def receive(self, chunk: Chunk) -> None:
        """Take a chunk from a receiver's thread; waits a little when thousands wait already.

        If that does not help, the journal has been out of order for long: the chunk is lost,
        and counted.
        """
        if not self._chunks.put(chunk):
            self._health.count("receivers", chunk.receiver, "chunks_lost")

    def now(self) -> float:
        """The time in the terms of what was dated, see `ClockGuard`."""
        return self._clock_guard.now()

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
                self.silence.look(self._journal.states(), self.now())
            works()

    def process(self, chunks: Iterable[Chunk]) -> None:
        """Take chunks on the whole journey, in one commit.

        Raises `ResourceAwayError` when the journal cannot be written; what was judged is kept,
        up to a bound, and goes with the next call.
        """
        dated = self._clock_guard.dated(chunks, follow=not self._refused)
        if not self._refused:
            self._packets.begin()
        for chunk, decryptions in self._cut(dated):
            self._packets.judge(chunk, decryptions)
        batch = self._packets.batch
        self._refused = False  # what no try could commit must not come back
        try:
            self._commit(batch)
        except ResourceAwayError:
            self._refused = True
            self._bound(batch)
            raise
        self._losing = False
        self._announcer.announce(batch.events)

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
        lost = batch.forget_oldest(MOST_UNCOMMITTED)
        self._health.count("journal", "lost", by=lost)
        if lost and not self._losing:
            log.error(
                "the journal has not accepted writes for a long time: the oldest readings are lost"
            )
        self._losing = lost > 0

    @property
    def knows_totals(self) -> bool:
        """Whether the database has been asked for the totals since the start."""
        return self._totals_loaded.is_set()

    def load(self, known: Mapping[str, SensorState], seq: int) -> None:
        """Take over what the database knows of the sensors, up to the journal's reading `seq`."""
        load_totals(self._journal, self._sensors, known, seq, self._counted)
        self._totals_loaded.set()
        self._journal.wake()

    def _cut(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Decryptions]]:
        for chunk in chunks:
            framer = self._framers[chunk.receiver]
            for piece in framer.feed(chunk):
                if isinstance(piece, StatusLine):
                    text = " ".join((piece.kind, *piece.fields))
                    self._health.show("receivers", chunk.receiver, "told", value=text)
                else:
                    yield chunk, piece
            for what, count in framer.counts.items():
                self._health.show("receivers", chunk.receiver, what, value=count)
            self.silence.useless(chunk.receiver, framer.counts["undecryptable"])

    def _counted(self, energy: Energy, reading: Reading) -> Energy:
        """The energy after a reading that counts."""
        tariff = self._contract.tariff_at(reading.ts)
        return add_measure(energy, reading.ts, reading.power_w, tariff, self._max_gap_s)

    def _report_sensors(self) -> Mapping[str, Any]:
        states, held, now_ts = self._journal.states(), self._packets.held(), self.now()
        return {slug: report_sensor(states[slug], held[slug], now_ts) for slug in self._sensors}


def with_known(judged: SensorState, known: SensorState) -> SensorState:
    """A judged state with what other threads may have changed meanwhile."""
    return replace(judged, energy=known.energy, latest=known.latest, identity=known.identity)


MOST_CHUNKS_WAITING = 10_000
BYTES_A_COMMIT = 4096
FULL_WAIT_S = 2.0
IDLE_WAIT_S = 2.0


class ChunkQueue:
    """What was heard and is not judged yet; any thread puts in, one takes out."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Chunk | None] = queue.Queue(MOST_CHUNKS_WAITING)

    def __len__(self) -> int:
        return self._queue.qsize()

    def put(self, chunk: Chunk) -> bool:
        """Take a chunk; when thousands wait, only if there is room for it within two seconds."""
        try:
            self._queue.put(chunk, timeout=FULL_WAIT_S)
        except queue.Full:
            return False
        return True

    def wake(self) -> None:
        """Let a waiting `take` go on."""
        if not self:  # otherwise it does not wait
            self._queue.put(None)

    def take(self, stopping: threading.Event) -> list[Chunk] | None:
        """Wait two seconds at most, and take what is there, for one commit.

        None when `stopping` is set and nothing is left.
        """
        if stopping.is_set() and not self:
            return None
        chunks: list[Chunk] = []
        size, wait_s = 0, IDLE_WAIT_S
        with suppress(queue.Empty):
            while size < BYTES_A_COMMIT:
                if chunk := self._queue.get(timeout=wait_s):
                    chunks.append(chunk)
                    size += len(chunk.content)
                wait_s = 0.0
        return chunks
