"""The sensors' firmware, of 2014 and later, and a household to measure: packets byte for byte.

Pure: time and randomness come in as arguments.
"""

import binascii
import math
import struct
from collections.abc import Callable, Iterator
from random import Random

from Crypto.Cipher import AES

BOOT_TAIL = bytes(6)
V1_1_TAG = b"CWv1.1"
V2_LAYOUT = struct.Struct("<H3s3sHBB4x")  # boot, sequence, energy Wh, power, battery, flags
TIMER_RANGE_MS = 2**32
MOST_POWER_W = 0xFFFF
PERIOD_S = 8.192  # the watchdog's, nominally
AWAKE_MS = (830, 880)  # what the timer advances by per packet; builds differ
FIRST_SENT_MS = (395, 415)
# What the firmware's offset filter, which settles, makes of a load in the first packets.
SETTLING = (1.480, 1.034, 0.997, 1.0, 1.0)
BATTERY_NOISE_MV = 12
WINTER_TIME_S = 3600  # the household's clock is one hour ahead of UTC
DAY_S = 86_400


class SensorFirmware:
    """One sensor; its voltage (a constant of the firmware) and battery may be set at any time.

    Without `tail` it has just booted. A sensor that is running already begins with the timer of
    its next packet and the tail (ciphertext bytes 10-15) of its last one. `shown_w` is the power
    in its newest packet, `awake_ms` how long it is awake for one, from and to.
    """

    voltage_v = 240
    battery_mv = 3290
    awake_ms = AWAKE_MS
    shown_w = 0

    def __init__(
        self, key: bytes, random: Random, timer_ms: int = 0, tail: bytes | None = None
    ) -> None:
        self._cipher = AES.new(key, AES.MODE_ECB)
        self.random = random
        self.reboot()
        if tail is not None:
            self._timer_ms, self._tail, self._sent = timer_ms, tail, len(SETTLING)

    def reboot(self) -> None:
        """Begin anew, as after a change of the battery."""
        self._timer_ms = self.random.randint(*FIRST_SENT_MS)
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
        plain = struct.pack("<HHHI6s", power_w, self.voltage_v, battery_mv, timer_ms, self._tail)
        payload = self._cipher.encrypt(plain)
        self._tail = payload[-len(self._tail) :]
        return payload


class TaggedFirmware(SensorFirmware):
    """Form v1.1: the padding is a constant tag, so that each packet proves itself."""

    def send(self, power_w: int, battery_mv: int, timer_ms: int) -> bytes:
        """Encrypt exactly these values, and the tag."""
        self._tail = V1_1_TAG
        return super().send(power_w, battery_mv, timer_ms)


class CountingFirmware(SensorFirmware):
    """Form v2: a number for each boot and packet, and a count of energy that a loss leaves whole.

    Its filter has settled before the first packet.
    """

    settling = False

    def __init__(self, key: bytes, random: Random, boot: int = 0) -> None:
        self._boot, self._energy_wh = boot - 1, 0.0
        super().__init__(key, random)

    def reboot(self) -> None:
        """Begin anew, as after a change of the battery; the boot number is kept in EEPROM."""
        super().reboot()
        self._boot += 1

    def send(self, power_w: int, battery_mv: int, timer_ms: int) -> bytes:
        """Encrypt these values with the numbers of the boot and the packet; there is no timer."""
        self._energy_wh += power_w * PERIOD_S / 3600
        sequence, energy = (n.to_bytes(3, "little") for n in (self._sent, int(self._energy_wh)))
        return self._cipher.encrypt(
            V2_LAYOUT.pack(self._boot, sequence, energy, power_w, battery_mv // 20, 0)
        )


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


def plausible_power_w(ts: float, seed: int = 0) -> int:
    """What a household draws at an instant: always the same for the same `ts` and `seed`."""
    hour = (ts + WINTER_TIME_S) / 3600 % 24
    total_w = standby_w(ts, seed) + fridge_w(ts, seed) + people_w(ts, hour, seed)
    total_w += heating_w(ts, hour, seed)
    return round(total_w * (0.99 + 0.02 * chance(int(ts), seed)))


def standby_w(ts: float, seed: int) -> float:
    """What never sleeps: 60 to 120 W by household, a little lower by night."""
    return 60 + 60 * chance(1, seed) + 15 * math.sin(ts * math.tau / DAY_S)


def fridge_w(ts: float, seed: int) -> float:
    """A compressor that runs for a third of every 45 minutes, and draws more as it starts."""
    running_s = (ts + 2700 * chance(2, seed)) % 2700
    return 0 if running_s > 900 else 85 + 60 * math.exp(-running_s / 60)


def people_w(ts: float, hour: float, seed: int) -> float:
    """Lamps and screens, and in some ten minutes a kettle or an oven; most at 7:30 and 19:30."""
    weekend = (int(ts + WINTER_TIME_S) // DAY_S + 3) % 7 >= 5
    awake = 0.05 + peak(hour, 9.5 if weekend else 7.5, 1.2) + peak(hour, 19.5, 2.2)
    if weekend:
        awake += peak(hour, 13, 1.5)
    slot = int(ts // 600)
    cooking = chance(slot, seed + 3) < 0.3 * awake
    cooking_w = 700 + 1800 * chance(slot, seed + 4) if cooking else 0
    return 350 * awake * (0.5 + chance(slot // 3, seed + 5)) + cooking_w


def heating_w(ts: float, hour: float, seed: int) -> float:
    """Water by night, and in winter a thermostat that switches 1.5 kW, most of it by night."""
    night = hour >= 22.5 or hour < 6.5
    water_w = 2000 if 0.5 <= hour < 2.5 + chance(int(ts // DAY_S), seed + 6) else 0
    winter = max(0.0, math.cos((ts / DAY_S / 365.2425 - 0.05) * math.tau))
    share = winter * (0.6 if night else 0.2)
    return water_w + (1500 if (ts + 400 * seed) % 1200 < 1200 * share else 0)


def peak(hour: float, centre_hour: float, width_h: float) -> float:
    """A bell of height 1 around an hour of the day."""
    distance = (hour - centre_hour) / width_h
    return math.exp(-distance * distance)


def chance(number: int, seed: int) -> float:
    """A number from 0 to 1 that looks random, always the same for the same two."""
    mixed = (number * 0x9E3779B1 ^ (seed + 1) * 0x85EBCA6B) & 0xFFFFFFFF
    mixed = (mixed ^ mixed >> 16) * 0x7FEB352D & 0xFFFFFFFF
    mixed = (mixed ^ mixed >> 15) * 0x846CA68B & 0xFFFFFFFF
    return (mixed ^ mixed >> 16) / 2**32
