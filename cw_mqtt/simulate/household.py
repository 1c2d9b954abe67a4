"""What a household draws at any instant, plausibly. Pure."""

import math

from cw_mqtt.config.values import DAY_S

WINTER_TIME_S = 3600  # the household's clock is one hour ahead of UTC


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
