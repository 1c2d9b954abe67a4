"""The values that travel through the bridge, in the order in which they come to be.

Instants are `*_ts`: seconds since the epoch, UTC. They become dates only where people read them.
Dataclasses that the journal keeps are read back with their defaults for fields they lack, so a
new field needs a default and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from statistics import median
from typing import ClassVar

NOMINAL_INTERVAL_S = 8.192  # the sensor's watchdog timer, until its true period was observed
SILENT_INTERVALS = 6
SHORTEST_TIMEOUT_S = 30.0
JOULES_PER_KWH = 3_600_000
BLOCK_SIZE = 16
TIMER_RANGE_MS = 2**32  # the sensor's counter starts over
TAIL_SIZE = 6
SILENCE_S = 0.045  # a USB adapter splits a burst by up to 16 ms, the next one is 100 ms away


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one read of a receiver's port gave.

    Empty `content` says that the line fell silent after bytes had come (`SILENCE_S`).
    `opened` is true for the first chunk after the port was opened: what came before is no
    longer part of the same stream.
    """

    receiver: str
    heard_ts: float
    monotonic_s: float
    content: bytes
    opened: bool = False


@dataclass(frozen=True, slots=True)
class Packet:
    """A payload that decrypted to plausible values; nothing is proven about its sender yet.

    `timer_ms` is the sensor's milliseconds awake, `padding` plaintext bytes 10-15: under v1 a
    sensor's next packet has this packet's `tail` there (the chain). `format` is a name in
    `decode.formats`.
    """

    power_w: int
    voltage_v: int
    battery_mv: int
    timer_ms: int
    padding: bytes
    payload: bytes
    format: str = "v1"

    @property
    def tail(self) -> bytes:
        """Ciphertext bytes 10-15, which the sensor's next packet repeats as its padding."""
        return self.payload[-TAIL_SIZE:]


class Verdict(StrEnum):
    """What is known of a payload that was heard."""

    VERIFIED = "verified"  # chains onto the packet before it
    CONFIRMED = "confirmed"  # was held; a later packet chained onto it
    SETTLING = "settling"  # proven, but among the first of a boot, whose power is wrong
    HELD = "held"  # plausible; waits for a packet that proves it
    UNVERIFIED = "unverified"  # held, and nothing proved it in time
    DUPLICATE = "duplicate"  # the same payload again within seconds: a radio repeat
    REPLAYED = "replayed"  # heard once before, later than any radio repeats it
    FOREIGN = "foreign"  # proven to come from another sensor that uses the same key
    UNDATED = "undated"  # was proven, by a clock that was never set

    @property
    def counts(self) -> bool:
        """Whether a reading of this verdict is a measure: stored, published, in the totals."""
        return self in (Verdict.VERIFIED, Verdict.CONFIRMED)


PROVEN = (Verdict.VERIFIED, Verdict.CONFIRMED, Verdict.SETTLING)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a sensor said at one moment, calibrated, with the verdict on it.

    Only readings whose verdict counts become measures; settling and unverified ones are kept
    apart in the table `set_aside`.
    """

    sensor: str
    ts: int
    power_w: float
    voltage_v: int
    battery_mv: int
    verdict: Verdict
    night: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """A plausible packet with the time at which it was heard.

    `elsewhere` names the other keys under which it is plausible too, while nothing proves it.
    """

    packet: Packet
    heard_ts: float
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """What is trusted of the packets of one sender.

    `newest` is the newest proven packet, `since_ts` the time of the first since the boot.
    `steps_ms` and `intervals_s` are the newest differences between packets that followed each
    other without loss, the time shared out over what came at once: `waited_ms` and `waited_s` are
    what timer and time have risen by since the newest of them. `loss` is the share of packets
    that could not be used, over about the last hundred. `lag_s` is how late the newest may have
    come, since somebody may repeat what was lost here. `wrapped` says that the timer passed 2^32
    since the boot, so that a small value is no boot. `restarts` counts boots, `unsettled` those
    since a packet that counts. `was` is the sensor whose chain this was until it seemed to
    restart.
    """

    newest: Heard | None = None
    since_ts: float = 0.0
    steps_ms: tuple[int, ...] = ()
    intervals_s: tuple[float, ...] = ()
    waited_ms: int = 0
    waited_s: float = 0.0
    loss: float = 0.0
    lag_s: float = 0.0
    wrapped: bool = False
    restarts: int = 0
    unsettled: int = 0
    was: str = ""

    __pydantic_config__: ClassVar = {"ser_json_bytes": "hex", "val_json_bytes": "hex"}

    @property
    def interval_s(self) -> float | None:
        """The usual time between two packets."""
        return median(self.intervals_s) if self.intervals_s else None


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known under a key and is no sensor's: packets that wait, and strangers' chains."""

    held: tuple[Heard, ...] = ()
    strangers: tuple[Chain, ...] = ()

    __pydantic_config__: ClassVar = {"ser_json_bytes": "hex", "val_json_bytes": "hex"}


@dataclass(frozen=True, slots=True)
class Energy:
    """What a sensor's measures have counted up to, in joules; none of the sums ever goes down.

    `total_j` is published: it began at `start_j`, that is `start_kwh`. `tariffs_j` is what was
    counted in each tariff, by name, `cost` what it cost, in the currency of the settings, each
    measure at the price of its own instant. `loaded` is false until the database was asked what
    it knows of this sensor; until then the sums are incomplete and must not be shown to anybody.
    """

    start_j: float = 0.0
    total_j: float = 0.0
    tariffs_j: Mapping[str, float] = field(default_factory=dict)
    last_ts: int | None = None
    last_power_w: float = 0.0
    loaded: bool = False
    cost: float = 0.0

    @property
    def total_kwh(self) -> float:
        """The total in kWh, unrounded."""
        return self.total_j / JOULES_PER_KWH


@dataclass(frozen=True, slots=True)
class SensorState:
    """Everything the bridge remembers of one sensor; the journal keeps it as JSON.

    `latest` is the newest reading that counts; `seen_ts` is when a proven packet was last heard,
    settling ones too; `verdicts` counts what was heard, by verdict. `previous_key`: the sensor
    still uses a key from which it is being moved away. `identity` tells it from other sensors
    that had its slug: the fingerprint of the first key it had here.
    """

    sensor: str
    chain: Chain = Chain()
    energy: Energy = Energy()
    latest: Reading | None = None
    seen_ts: float | None = None
    previous_key: bool = False
    identity: str = ""
    verdicts: Mapping[Verdict, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Era:
    """A time in which the computer's clock was not set; what it showed may be right or wrong.

    `boot` names the run of the computer, `offset_s` is the clock minus the seconds since that
    run began, and `since_s` how many of these had passed when the era began. `first_seq` is the
    first reading in the journal that was dated by it. `confirmed`: the clock was right.
    """

    boot: str
    offset_s: float
    since_s: float
    confirmed: bool = False
    first_seq: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened and is worth telling once, such as `sensor_rebooted`."""

    type: str
    ts: float
    sensor: str | None = None
    text: str = ""


def timeout_s(state: SensorState, configured_s: float | None) -> float:
    """How long a sensor may be silent before it counts as offline."""
    if configured_s is not None:
        return configured_s
    usual_s = state.chain.interval_s or NOMINAL_INTERVAL_S
    return max(SHORTEST_TIMEOUT_S, SILENT_INTERVALS * usual_s)


def is_silent(state: SensorState, configured_s: float | None, now_ts: float) -> bool:
    """Whether a sensor counts as offline: on the page, on MQTT, in `/health`, anywhere.

    `now_ts` is by the clock that dates packets. What one that was ahead has dated counts as old.
    """
    seen_ts = state.seen_ts
    return seen_ts is None or abs(now_ts - seen_ts) > timeout_s(state, configured_s)


def iso_utc(ts: float) -> str:
    """An instant as people and Home Assistant read it, such as `2026-11-22T22:33:15Z`."""
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
