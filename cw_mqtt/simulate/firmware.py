"""The sensors' firmware, of 2014 and later: packets byte for byte.

Pure: time and randomness come in as arguments.
"""

import binascii
from collections.abc import Callable, Iterator
from random import Random

from Crypto.Cipher import AES

from cw_mqtt.decode.formats import FORMATS
from cw_mqtt.model import TIMER_RANGE_MS

BOOT_TAIL = bytes(6)
MOST_POWER_W = 0xFFFF
PERIOD_S = 8.192  # the watchdog's, nominally
AWAKE_MS = (830, 880)  # what the timer advances by per packet; builds differ
FIRST_SENT_BETWEEN_MS = (395, 415)
# What the firmware's offset filter, which settles, makes of a load in the first packets.
SETTLING = (1.480, 1.034, 0.997, 1.0, 1.0)
BATTERY_NOISE_MV = 12


class SensorFirmware:
    """One sensor; its voltage (a constant of the firmware) and battery may be set at any time.

    `format_name` is a name in `decode.formats`; fields that only some formats have are 0.
    Without `tail` it has just booted. A sensor that is running already begins with the timer of
    its next packet and the tail (ciphertext bytes 10-15) of its last one. `shown_w` is the power
    in its newest packet, `awake_ms` how long it is awake for one, from and to.
    """

    voltage_v = 240
    battery_mv = 3290
    awake_ms = AWAKE_MS
    shown_w = 0

    def __init__(
        self,
        key: bytes,
        random: Random,
        timer_ms: int = 0,
        tail: bytes | None = None,
        format_name: str = "v1",
    ) -> None:
        self._format = FORMATS[format_name]
        self._cipher = AES.new(key, AES.MODE_ECB)
        self.random = random
        self.reboot()
        if tail is not None:
            self._timer_ms, self._tail, self._sent = timer_ms, tail, len(SETTLING)

    def reboot(self) -> None:
        """Begin anew, as after a change of the battery."""
        self._timer_ms = self.random.randint(*FIRST_SENT_BETWEEN_MS)
        self._tail = BOOT_TAIL
        self._sent = 0

    @property
    def settling(self) -> bool:
        """Whether the next packet's power is still wrong."""
        return self._sent < len(SETTLING)

    def measure(self, power_w: float) -> bytes:
        """Wake up once: the packet sent for a true power; the timer advances."""
        factor = SETTLING[self._sent] if self.settling else 1.0
        self.shown_w = min(MOST_POWER_W, max(0, round(power_w * factor)))
        noise_mv = self.random.randint(-BATTERY_NOISE_MV, BATTERY_NOISE_MV)
        payload = self.send(self.shown_w, self.battery_mv + noise_mv, self._timer_ms)
        self._timer_ms = (self._timer_ms + self.random.randint(*self.awake_ms)) % TIMER_RANGE_MS
        self._sent += 1
        return payload

    def send(self, power_w: int, battery_mv: int, timer_ms: int) -> bytes:
        """Encrypt exactly these values, in place: the padding is what the last packet left."""
        values = {
            **dict.fromkeys(self._format.names, 0),
            "power": power_w,
            "voltage": self.voltage_v,
            "battery": battery_mv,
            "timer": timer_ms,
            "padding": self._format.tag or self._tail,
        }
        payload = self._cipher.encrypt(self._format.pack(**values))
        self._tail = payload[-len(self._tail) :]
        return payload


def packets(
    firmware: SensorFirmware,
    start_ts: float,
    power_w: Callable[[float], float],
    period_s: float = PERIOD_S,
    jitter_s: float = 0.02,
) -> Iterator[tuple[float, bytes]]:
    """Every packet from `start_ts` on, without end, each with the time at which it is sent."""
    ts = start_ts
    while True:
        yield ts, firmware.measure(power_w(ts))
        ts += period_s + firmware.random.uniform(-jitter_s, jitter_s)


def receiver_line(seq: int, payload: bytes, pipe: int = 1, *, strong: bool = True) -> bytes:
    """A payload as our receiver board writes it: `CW1 P <seq> <pipe> <32 hex> <rpd> *CCCC`.

    `seq` counts from 0 to 255; `strong` is the radio's one bit of signal strength.
    """
    body = b"CW1 P %d %d %s %d" % (seq % 256, pipe, payload.hex().encode("ascii"), strong)
    return b"%s *%04X\n" % (body, binascii.crc_hqx(body, 0xFFFF))
