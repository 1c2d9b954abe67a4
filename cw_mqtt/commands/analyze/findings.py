"""What may be the matter with what was heard: every explanation, its evidence, what to do.

Pure: a `Case` in, findings out. The limits of likelihood are chances that noise looks the same.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from cw_mqtt.commands.analyze.analysis import EXAMPLE, Case
from cw_mqtt.commands.analyze.key_test import FEW, LIKELY_BELOW, KeyTest, chance_of
from cw_mqtt.config.load import EXAMPLE_KEY
from cw_mqtt.decode.framing import StatusLine
from cw_mqtt.decode.packets import fingerprint
from cw_mqtt.model import BLOCK_SIZE, Verdict

CERTAIN_BELOW = 1e-6
WHOLE_SHARE = 1 / BLOCK_SIZE  # of bursts of any length, those that are whole packets
LINE_SHARE = 2.0**-16  # of damaged lines, those whose checksum is right
NO_RADIO = ("none", "plain", "radio-lost", "radio-plain")  # words of our receiver
EXAMPLE_FINGERPRINT = fingerprint(EXAMPLE_KEY)
LONG_BURST = 10 * BLOCK_SIZE  # a receiver pauses after each packet


class Likelihood(StrEnum):
    """How sure an explanation is."""

    CERTAIN = "certain"
    LIKELY = "likely"
    UNKNOWN = "cannot tell yet"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Finding:
    """One explanation; `advice` is for when it holds."""

    explanation: str
    likelihood: Likelihood
    evidence: str
    advice: str = ""

    @property
    def holds(self) -> bool:
        """Whether it is at least likely."""
        return self.likelihood in (Likelihood.CERTAIN, Likelihood.LIKELY)


def explain(case: Case) -> list[Finding]:
    """Every explanation; the first one says whether a configured sensor is healthy."""
    return [find(case) for find in FINDERS]


def healthy(case: Case) -> Finding:
    """A configured key fits, and packets follow each other."""
    heard = [test for test in case.configured if test.opened and test.is_sure]
    well = [test for test in heard if not test.loses_packets]
    unheard = sorted(case.verdicts.keys() - {each.sensor for each in heard})
    words = [each.fit(len(case.packets)) for each in heard]
    words += [f"{sensor}: no packet opens but by chance" for sensor in unheard]
    return Finding(
        "the key is right and the sensor is healthy",
        _sureness(_least_chance(well)) if well else _none_of(case),
        "; ".join(words),
    )


def lost_packets(case: Case) -> Finding:
    """A key fits, but few packets follow each other."""
    found = [each for each in case.configured if each.is_sure and each.loses_packets]
    words = (each.fit(len(case.packets)) for each in found)
    return Finding(
        "packets are lost on the air",
        _sureness(_least_chance(found)) if found else Likelihood.NO,
        "; ".join(words) or "most packets that open are proven, or too few are here",
        "Move the receiver closer to the sensor or away from metal and Wi-Fi; a battery below"
        " 2 V weakens the radio.",
    )


def refused(case: Case) -> Finding:
    """A key fits, and the settings or limits refuse the values."""
    found = [each for each in case.configured if each.refused and each.is_sure]
    words = (f"{t.sensor}: {t.refused} packets of its own, as {t.refusal()}" for t in found)
    return Finding(
        "the key is right and the values are refused",
        _sureness(_least_chance(found)) if found else Likelihood.NO,
        "; ".join(words) or "no refused packet is proven to be the sensor's",
        "Correct max_power_w or format of this sensor in config.yaml, or the constants in its"
        " sketch.",
    )


def example_key(case: Case) -> Finding:
    """The key that everybody knows fits."""
    fitting = (test for test in case.key_tests if test.opened and test.is_sure)
    found = [test for test in fitting if test.fingerprint == EXAMPLE_FINGERPRINT]
    configured = any(each.sensor != EXAMPLE for each in found)
    return Finding(
        "these packets are encrypted with the published example key",
        _sureness(_least_chance(found)) if found else _none_of(case),
        "; ".join(t.fit(len(case.packets)) for t in found)
        or f"no packet opens with it ({EXAMPLE_FINGERPRINT}) but by chance",
        "Everybody has this key: a neighbour's sensor would count as yours. Make one of your own"
        " with `cw-mqtt key generate`."
        if configured
        else "It is a sensor that was never given a key of its own, and that key is not in your"
        " config.yaml: a neighbour's, or yours. If yours, use `cw-mqtt key generate` and upload"
        " the sketch again.",
    )


def foreign_sensor(case: Case) -> Finding:
    """Two chains under one key."""
    sensors = {test.sensor for test in case.configured}
    count = sum(case.verdicts.get(sensor, {}).get(Verdict.FOREIGN, 0) for sensor in sensors)
    return Finding(
        "another sensor uses the same key",
        Likelihood.CERTAIN if count else Likelihood.NO,
        f"{count} packets continue each other, and not the sensor's own"
        if count
        else "no packet opens that continues a chain of its own",
        "Give each sensor a key of its own with `cw-mqtt key generate`; add the other one to"
        " config.yaml if it is yours.",
    )


def unknown_key(case: Case) -> Finding:
    """Whole packets that nothing opens."""
    count, bursts = case.unopened, len(case.starts_s)
    chance = (
        LINE_SHARE**case.lines if case.lines else chance_of(case.whole_bursts, bursts, WHOLE_SHARE)
    )
    surely = count >= FEW and chance < LIKELY_BELOW and not case.is_reordered
    came = (
        "all in checked lines"
        if case.lines
        else f"{case.whole_bursts} of {bursts} bursts are whole packets of 16 bytes{case.pace()}"
    )
    return Finding(
        "a wrong key, or another sensor",
        Likelihood.LIKELY if surely else Likelihood.UNKNOWN if count else Likelihood.NO,
        f"{count} of {len(case.packets)} packets open with no configured key and not with the"
        f" example key; {came}",
        "Compare `cw-mqtt key fingerprint` with the comment in the sketch's sensor_key.h. If it"
        " is a neighbour's sensor, nothing need be done.",
    )


def reversed_bytes(case: Case) -> Finding:
    """A key fits once bytes are put in another order."""
    best = case.reordered
    return Finding(
        "bytes are in reversed order",
        _sureness(best) if case.is_reordered else Likelihood.NO if case.fits else _none_of(case),
        f"{best.order.words}: {best.fit(len(case.packets))}"
        if best.opened and not case.fits
        else "no packet opens so that does not open as it is",
        "Write the key in the sketch in the same order as in config.yaml: `cw-mqtt key generate`"
        " makes both."
        if best.order.key > 1
        else "The receiver's or the sensor's program turns bytes around: use the sketches that"
        " come with cw-mqtt.",
    )


def damaged_lines(case: Case) -> Finding:
    """CW1 lines with wrong checksums."""
    bad, good = case.counts["crc_errors"], case.lines + len(case.status_lines)
    surely = bad >= FEW and bad > good / 10
    return Finding(
        "lines are damaged on the cable",
        Likelihood.CERTAIN if surely else Likelihood.LIKELY if bad else Likelihood.NO,
        f"{bad} lines with a wrong checksum, {good} right ones,"
        f" {case.counts['lost_on_cable']} packets missing between them",
        "Use a shorter or better USB cable and another port; check that baudrate is the"
        " receiver's, 57600.",
    )


def stuck_radio(case: Case) -> Finding:
    """Blocks of zeros or ones, or the receiver's own word."""
    zeros, ones, told = case.counts["zeros"], case.counts["ones"], case.radio
    surely = zeros + ones >= FEW and zeros + ones >= len(case.packets)
    likelihood = Likelihood.CERTAIN if surely or told in NO_RADIO else Likelihood.LIKELY
    return Finding(
        "the receiver's radio is stuck",
        likelihood if zeros + ones or told in NO_RADIO else Likelihood.NO,
        f"{zeros} blocks of zeros, {ones} of ones, {len(case.packets)} others;"
        f" the receiver says of its radio: {told}",
        "Unplug the receiver and plug it in again; then check the wires between board and radio"
        " (MISO) and the radio's supply of 3.3 V.",
    )


def noise(case: Case) -> Finding:
    """Bytes that are no bursts of 16."""
    bursts = len(case.starts_s)
    odd = bursts - case.whole_bursts
    stuck = case.counts["zeros"] or case.counts["ones"]
    known = case.fits or case.lines or case.status_lines or stuck
    surely = (bursts >= FEW and 2 * odd >= bursts) or case.longest_burst > LONG_BURST
    likelihood = Likelihood.LIKELY if surely and case.timed else Likelihood.UNKNOWN
    text = case.text_share > 0.95
    return Finding(
        "noise: it is no receiver's stream",
        Likelihood.NO if known or (not odd and case.timed and not surely) else likelihood,
        f"{odd} of {bursts} bursts are not of 16 bytes, the longest has {case.longest_burst}"
        + ("; it is text" if text else ""),
        "Another program is on the board, or it is another device: upload the receiver's sketch."
        if text
        else "Check that the port is the receiver's and baudrate is 57600, and the cable.",
    )


def no_sensor(case: Case) -> Finding:
    """A receiver that tells of itself, and of no packet."""
    alone = bool(case.status_lines) and not case.packets and case.radio not in NO_RADIO
    last = case.status_lines[-1] if case.status_lines else StatusLine("nothing", ())
    return Finding(
        "the receiver works and hears no sensor",
        Likelihood.CERTAIN if alone else Likelihood.NO,
        f"{len(case.status_lines)} lines about itself, the last:"
        f" {' '.join((last.kind, *last.fields))}; {len(case.packets)} packets",
        "Check the sensor's battery, and that channel and address are the same in both sketches;"
        " a sensor sends every 8 seconds.",
    )


def nothing(case: Case) -> Finding:
    """Not one byte."""
    return Finding(
        "nothing at all was received",
        Likelihood.NO if case.size else Likelihood.CERTAIN,
        f"{case.size} bytes",
        "Check that the port is the receiver's, that the receiver has power and that no other"
        " program reads the port (stop `cw-mqtt run` first); listen for a minute at least.",
    )


def _sureness(test: KeyTest) -> Likelihood:
    """How sure it is that a key fits which chance hardly explains."""
    return Likelihood.CERTAIN if test.chance < CERTAIN_BELOW else Likelihood.LIKELY


def _none_of(case: Case) -> Likelihood:
    """What a key that opens nothing says: little, of few packets."""
    return Likelihood.NO if len(case.packets) >= FEW or not case.size else Likelihood.UNKNOWN


def _least_chance(tests: Iterable[KeyTest]) -> KeyTest:
    """The test that chance explains worst."""
    return min(tests, key=lambda test: test.chance)


FINDERS: tuple[Callable[[Case], Finding], ...] = (
    healthy,
    lost_packets,
    refused,
    example_key,
    foreign_sensor,
    unknown_key,
    reversed_bytes,
    damaged_lines,
    stuck_radio,
    noise,
    no_sensor,
    nothing,
)
