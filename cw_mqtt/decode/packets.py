"""Encrypted payloads -> packets with plausible values, under the keys of the configured sensors.

Each payload is one AES-128 block (ECB, no IV, no MAC); `formats` has the layouts.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from Crypto.Cipher import AES

from cw_mqtt.decode.formats import FORMATS, format_of
from cw_mqtt.model import TAIL_SIZE, Packet

NO_PADDING = bytes(TAIL_SIZE)
NAMES = ("power", "voltage", "battery", "timer", "padding")


@dataclass(frozen=True, slots=True)
class SensorKey:
    """One key under which a sensor is accepted; a sensor may have several while keys change.

    `receivers` names those that may hear it, None any; `format` None is whatever it turns out.
    """

    sensor: str
    key: bytes
    max_power_w: float
    receivers: frozenset[str] | None = None
    format: str | None = None
    previous: bool = False


@dataclass(frozen=True, slots=True)
class Decrypted:
    """A payload that a key decrypted; `key` is its fingerprint, `sensors` are those that share it.

    `proven` says that its padding continues something known (a sensor's trusted packet, a held
    one, the zeros of a boot) or that the packet proves itself. Noise does that once in 2^48
    blocks, while plain plausibility is met by one random block in eight thousand for each key.
    """

    key: str
    sensors: tuple[str, ...]
    packet: Packet
    previous: frozenset[str] = frozenset()
    proven: bool = False


class Keyring:
    """The keys of the sensors that a receiver may hear, the one that fitted last first.

    `expected` tells the paddings that would continue what is known under a payload's key.
    """

    def __init__(
        self,
        keys: Iterable[SensorKey],
        receiver: str,
        expected: Callable[[Decrypted], Iterable[bytes]],
    ) -> None:
        shared: dict[bytes, list[SensorKey]] = {}
        for key in keys:
            if key.receivers is None or receiver in key.receivers:
                shared.setdefault(key.key, []).append(key)
        self._keys = [
            (fingerprint(key), tuple(sensors), AES.new(key, AES.MODE_ECB).decrypt)
            for key, sensors in shared.items()
        ]
        self._expected = expected

    def open(self, payload: bytes) -> tuple[Decrypted, ...]:
        """What a payload is under the one key that proves it, or under all that may have made it.

        Empty when no key opens it.
        """
        plausible = []
        for place, (key, sensors, decrypt) in enumerate(self._keys):
            decrypted = read_shared(decrypt(payload), payload, key, sensors)
            if decrypted is None:
                continue
            if self._is_proven(decrypted):
                self._keys.insert(0, self._keys.pop(place))
                return (replace(decrypted, proven=True),)
            plausible.append(decrypted)
        return tuple(plausible)

    def _is_proven(self, decrypted: Decrypted) -> bool:
        packet = decrypted.packet
        if proves_itself(packet) or packet.padding == NO_PADDING:
            return True
        return packet.padding in self._expected(decrypted)


def fingerprint(key: bytes) -> str:
    """The first 8 hex digits of a key's SHA-256: two copies can be compared, none be learned."""
    return hashlib.sha256(key).hexdigest()[:8]


def read_shared(
    plain: bytes, payload: bytes, key: str, sensors: Sequence[SensorKey]
) -> Decrypted | None:
    """What a decrypted block is to the sensors that share its key; None: nothing plausible."""
    read = [(each, read_plain(plain, payload, each)) for each in sensors]
    possible = [(each, packet) for each, packet in read if packet]
    if not possible:
        return None
    return Decrypted(
        key,
        tuple(each.sensor for each, _ in possible),
        possible[0][1],
        frozenset(each.sensor for each, _ in possible if each.previous),
    )


def read_plain(plain: bytes, payload: bytes, key: SensorKey) -> Packet | None:
    """The packet in a decrypted block; None when its values cannot be the sensor's."""
    found = format_of(plain)
    if key.format not in (None, found.name):
        return None
    values = found.values(plain)
    if values["power"] > key.max_power_w:
        return None
    if any(each.limit and values[each.name] not in each.limit for each in found.fields):
        return None
    power_w, voltage_v, battery_mv, timer_ms, padding = (values[name] for name in NAMES)
    return Packet(power_w, voltage_v, battery_mv, timer_ms, padding, payload, found.name)


def proves_itself(packet: Packet) -> bool:
    """Whether the packet is of a format that needs no other packet to prove its sender."""
    return FORMATS[packet.format].proves_itself
