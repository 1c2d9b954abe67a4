"""The recorded packets: bytes as the sensor's firmware makes them, beside the values they carry."""

import json
from collections.abc import Sequence
from pathlib import Path

from Crypto.Cipher import AES

from cw_mqtt.decode.packets import Keyring, SensorKey, read_plain
from cw_mqtt.model import Chunk, Packet

RECORDED = json.loads((Path(__file__).parent / "data" / "packets.json").read_text())
KEY = bytes(RECORDED["key"])
OTHER_KEY = bytes(range(100, 116))
STREAMS = sorted(RECORDED["streams"])
START_TS = 1_795_300_000.0


def payloads(stream: str = "normal_20_consecutive") -> list[bytes]:
    """The encrypted packets of a recorded stream."""
    return [bytes.fromhex(packet["packet_hex"]) for packet in RECORDED["streams"][stream]]


def times(stream: str = "normal_20_consecutive") -> list[float]:
    """When each packet of a recorded stream was sent."""
    return [START_TS + packet["seconds_after_first"] for packet in RECORDED["streams"][stream]]


def powers(stream: str = "normal_20_consecutive") -> list[int]:
    """The power in each packet of a recorded stream."""
    return [packet["power_w"] for packet in RECORDED["streams"][stream]]


def heard(stream: str = "normal_20_consecutive") -> list[tuple[Packet, float]]:
    """The packets of a recorded stream, decrypted, each with the time at which it was heard."""
    decrypt, key = AES.new(KEY, AES.MODE_ECB).decrypt, SensorKey("a", KEY, 36000)
    packets = [read_plain(decrypt(payload), payload, key) for payload in payloads(stream)]
    return [(packet, ts) for packet, ts in zip(packets, times(stream), strict=True) if packet]


def keyring(*keys: bytes, tails: Sequence[bytes] = ()) -> Keyring:
    """A keyring of sensors a, b, c ... with these keys, or of one with the recorded key.

    `tails` are the ends of packets that are known.
    """
    sensors = zip("abcdefghij", keys or (KEY,), strict=False)
    made = [SensorKey(sensor, key, 36000) for sensor, key in sensors]
    return Keyring(made, "hall", lambda _: tails)


def chunk(content: bytes, at_s: float = 0.0, *, opened: bool = False) -> Chunk:
    """Bytes read from receiver `hall` at a moment after the start of the stream."""
    return Chunk("hall", START_TS + at_s, at_s, content, opened)
