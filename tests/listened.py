"""What a receiver may hand over, made with simulated firmware, and what is found in it."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from cw_mqtt.commands.analyze.analysis import Case, analyze
from cw_mqtt.commands.analyze.findings import Finding, explain
from cw_mqtt.model import SILENCE_S, Chunk
from cw_mqtt.simulate.firmware import PERIOD_S, SensorFirmware, packets
from tests.packets import START_TS
from tests.settings import settings as made_settings

OWN_KEY = bytes.fromhex("8e51a2f0937bd4466c1be2053fa9d718")
MINE = {"slug": "main", "name": "CitizenWatt", "key": OWN_KEY.hex()}


def sent(firmware: SensorFirmware, count: int, power_w: float = 500.0) -> list[bytes]:
    """The next packets of a sensor."""
    timed = packets(firmware, START_TS, lambda _ts: power_w)
    return [payload for _, (_, payload) in zip(range(count), timed, strict=False)]


def sensor(key: bytes = OWN_KEY, seed: int = 1) -> SensorFirmware:
    """A sensor that has just booted."""
    return SensorFirmware(key, Random(seed))


def chunks(bursts: Iterable[bytes], apart_s: float = PERIOD_S) -> Iterator[Chunk]:
    """Bursts as a receiver hands them over, each with the silence behind it."""
    for number, burst in enumerate(bursts):
        at_s = number * apart_s
        yield Chunk("hall", START_TS + at_s, at_s, burst)
        yield Chunk("hall", START_TS + at_s + SILENCE_S, at_s + SILENCE_S, b"")


def case_of(
    bursts: Iterable[bytes], *sensors: dict[str, Any], apart_s: float = PERIOD_S, **options: Any
) -> Case:
    """The analysis of bursts with these sensors in the settings, or the one that sent them."""
    settings = made_settings(Path("unused"), sensors=sensors or (MINE,))
    return analyze(list(chunks(bursts, apart_s)), settings, settings.receivers[0], **options)


def findings_of(
    bursts: Iterable[bytes], *sensors: dict[str, Any], apart_s: float = PERIOD_S, **options: Any
) -> dict[str, Finding]:
    """Every finding, by its explanation."""
    return {
        each.explanation: each
        for each in explain(case_of(bursts, *sensors, apart_s=apart_s, **options))
    }


def holding(findings: dict[str, Finding]) -> Sequence[str]:
    """The explanations that are at least likely."""
    return [each.explanation for each in findings.values() if each.holds]
