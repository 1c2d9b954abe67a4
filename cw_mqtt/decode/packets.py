"""Encrypted payloads -> packets with plausible values, under the keys of the configured sensors.

The sensor encrypts its 16-byte struct as one AES-128 block (ECB, no IV, no MAC), little-endian:
power u16 W, voltage u16 V, battery u16 mV, timer u32 ms, 6 bytes padding.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from Crypto.Cipher import AES

from cw_mqtt.model import TAIL_SIZE, Chain, Packet

LAYOUT = struct.Struct("<HHHI6s")
NO_PADDING = bytes(TAIL_SIZE)
MAINS_V = range(90, 281)
BATTERY_MV = range(1500, 6501)


@dataclass(frozen=True, slots=True)
class SensorKey:
    """One key under which a sensor is accepted; a sensor may have several while keys change.

    `receivers` names those that may hear it, None any.
    """

    sensor: str
    key: bytes
    max_power_w: float
    receivers: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A payload that one sensor's key opened.

    `proven` says that its padding continues something known: the sensor's trusted packet, a held
    one, or the zeros of a boot. Noise does that once in 2^48 blocks, while plain plausibility
    is met by one random block in eight thousand for each key.
    """

    sensor: str
    packet: Packet
    proven: bool


class Keyring:
    """The configured keys, the one that fitted last first."""

    def __init__(self, keys: Sequence[SensorKey]) -> None:
        self._keys = [(key, AES.new(key.key, AES.MODE_ECB).decrypt) for key in keys]

    def open(
        self, payload: bytes, receiver: str, chain_of: Callable[[str], Chain]
    ) -> Opened | None:
        """The best reading of a payload: a proven one before a merely plausible one.

        `chain_of` tells the present chain of a sensor.
        """
        best: Opened | None = None
        for place, (key, decrypt) in enumerate(self._keys):
            packet = read_block(payload, decrypt, key.max_power_w)
            if packet is None or (key.receivers is not None and receiver not in key.receivers):
                continue
            opened = Opened(key.sensor, packet, continues(packet, chain_of(key.sensor)))
            if opened.proven:
                self._keys.insert(0, self._keys.pop(place))
                return opened
            best = best or opened
        return best


def read_block(
    payload: bytes, decrypt: Callable[[bytes], bytes], max_power_w: float
) -> Packet | None:
    """Decrypt one block; None when its values cannot be a sensor's."""
    power_w, voltage_v, battery_mv, timer_ms, padding = LAYOUT.unpack(decrypt(payload))
    if voltage_v not in MAINS_V or battery_mv not in BATTERY_MV or power_w > max_power_w:
        return None
    return Packet(power_w, voltage_v, battery_mv, timer_ms, padding, payload)


def continues(packet: Packet, chain: Chain) -> bool:
    """Whether the padding continues a packet that is known of the sensor, or is a boot's."""
    if packet.padding == NO_PADDING:
        return True
    return packet.padding == chain.tail or any(
        packet.padding == held.packet.tail for held in chain.held
    )
