"""Encrypted payloads -> packets with plausible values, under the keys of the configured sensors.

Each payload is one AES-128 block (ECB, no IV, no MAC). docs/packets.md has the layouts.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from Crypto.Cipher import AES

from cw_mqtt.model import TAIL_SIZE, Chain, Form, Packet

LAYOUT = struct.Struct("<HHHI6s")  # power W, voltage V, battery mV, timer ms, padding
V1_1_TAG = b"CWv1.1"
NO_PADDING = bytes(TAIL_SIZE)
MAINS_V = range(90, 281)
BATTERY_MV = range(1500, 6501)


@dataclass(frozen=True, slots=True)
class SensorKey:
    """One key under which a sensor is accepted; a sensor may have several while keys change.

    `receivers` names those that may hear it, None any; `form` None is whatever it turns out.
    """

    sensor: str
    key: bytes
    max_power_w: float
    receivers: frozenset[str] | None = None
    form: Form | None = None
    previous: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A payload that a key opened; `sensors` are those that share the key.

    `proven` says that its padding continues something known (a sensor's trusted packet, a held
    one, the zeros of a boot) or that the packet proves itself. Noise does that once in 2^48
    blocks, while plain plausibility is met by one random block in eight thousand for each key.
    """

    sensors: tuple[str, ...]
    packet: Packet
    proven: bool
    previous: bool = False


class Keyring:
    """The configured keys, the one that fitted last first."""

    def __init__(self, keys: Sequence[SensorKey]) -> None:
        shared: dict[bytes, list[SensorKey]] = {}
        for key in keys:
            shared.setdefault(key.key, []).append(key)
        self._keys = [
            (tuple(sensors), AES.new(key, AES.MODE_ECB).decrypt) for key, sensors in shared.items()
        ]

    def open(
        self, payload: bytes, receiver: str, chain_of: Callable[[str], Chain]
    ) -> Opened | None:
        """The best reading of a payload: a proven one before a merely plausible one.

        `chain_of` tells the present chain of a sensor.
        """
        best: Opened | None = None
        for place, (keys, decrypt) in enumerate(self._keys):
            opened = open_plain(decrypt(payload), payload, receiver, keys, chain_of)
            if opened is None:
                continue
            if opened.proven:
                self._keys.insert(0, self._keys.pop(place))
                return opened
            best = best or opened
        return best


def open_plain(
    plain: bytes,
    payload: bytes,
    receiver: str,
    keys: Sequence[SensorKey],
    chain_of: Callable[[str], Chain],
) -> Opened | None:
    """What a decrypted block is to the sensors that share its key; None: nothing plausible."""
    sensors: list[str] = []
    packet, previous = None, False
    for key in keys:
        read = read_plain(plain, payload, key)
        if read is not None and (key.receivers is None or receiver in key.receivers):
            sensors.append(key.sensor)
            packet, previous = packet or read, key.previous
    if packet is None:
        return None
    proven = proves_itself(packet) or any(is_expected(packet, chain_of(s)) for s in sensors)
    return Opened(tuple(sensors), packet, proven, previous)


def read_plain(plain: bytes, payload: bytes, key: SensorKey) -> Packet | None:
    """The packet in a decrypted block; None when its values cannot be the sensor's."""
    power_w, voltage_v, battery_mv, timer_ms, padding = LAYOUT.unpack(plain)
    if voltage_v not in MAINS_V or battery_mv not in BATTERY_MV or power_w > key.max_power_w:
        return None
    form = Form.V1_1 if padding == V1_1_TAG else Form.V1
    if key.form not in (None, form):
        return None
    return Packet(power_w, voltage_v, battery_mv, timer_ms, padding, payload, form)


def proves_itself(packet: Packet) -> bool:
    """Whether the packet is of a form that needs no other packet to prove its sender."""
    return packet.form is not Form.V1


def is_expected(packet: Packet, chain: Chain) -> bool:
    """Whether the padding continues a packet that is known, or is a boot's."""
    known = (*chain.held, chain.newest) if chain.newest else chain.held
    return packet.padding == NO_PADDING or any(
        packet.padding == heard.packet.tail for heard in known
    )
