"""What may be the matter with what was heard: every explanation, its evidence, what to do.

Pure: a `Case` in, findings out. The limits of likelihood are chances that noise looks the same.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from cw_mqtt.commands.analyze.analysis import EXAMPLE, Case
from cw_mqtt.commands.analyze.trial import Trial, chance_of
from cw_mqtt.model import BLOCK_SIZE, Verdict

CERTAIN_BELOW = 1e-6
LIKELY_BELOW = 1e-3
WHOLE_SHARE = 1 / BLOCK_SIZE  # of bursts of any length, those that are whole packets
LINE_SHARE = 2.0**-16  # of damaged lines, those whose checksum is right
FEW = 3
NO_RADIO = ("none", "plain", "radio-lost", "radio-plain")  # words of our receiver
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
    heard = [trial for trial in case.configured if trial.opened and is_sure(trial)]
    well = [trial for trial in heard if not loses_packets(trial)]
    unheard = sorted(case.verdicts.keys() - {each.sensor for each in heard} - {EXAMPLE})
    words = [each.fit(len(case.blocks)) for each in heard]
    words += [f"{sensor}: no packet opens but by chance" for sensor in unheard]
    return Finding(
        "the key is right and the sensor is healthy",
        sureness(least_chance(well)) if well else none_of(case),
        "; ".join(words),
    )


def lost_packets(case: Case) -> Finding:
    """A key fits, but few packets follow each other."""
    found = [each for each in case.configured if is_sure(each) and loses_packets(each)]
    words = (each.fit(len(case.blocks)) for each in found)
    return Finding(
        "packets are lost on the air",
        sureness(least_chance(found)) if found else Likelihood.NO,
        "; ".join(words) or "most packets that open are proven, or too few are here",
        "Move the receiver closer to the sensor or away from metal and Wi-Fi; a battery below"
        " 2 V weakens the radio.",
    )


def refused(case: Case) -> Finding:
    """A key fits, and the settings or limits refuse the values."""
    found = [each for each in case.configured if each.refused and is_sure(each)]
    words = (f"{t.sensor}: {t.refused} packets of its own, as {t.refusal()}" for t in found)
    return Finding(
        "the key is right and the values are refused",
        sureness(least_chance(found)) if found else Likelihood.NO,
        "; ".join(words) or "no refused packet is proven to be the sensor's",
        "Correct max_power_w or format of this sensor in config.yaml, or the constants in its"
        " sketch.",
    )


def example_key(case: Case) -> Finding:
    """The key that everybody knows fits."""
    fitting = (trial for trial in case.trials if trial.opened and is_sure(trial))
    found = [trial for trial in fitting if trial.fingerprint == case.example]
    configured = any(each.sensor != EXAMPLE for each in found)
    return Finding(
        "these packets are encrypted with the published example key",
        sureness(least_chance(found)) if found else none_of(case),
        "; ".join(t.fit(len(case.blocks)) for t in found)
        or f"no packet opens with it ({case.example}) but by chance",
        "Everybody has this key: a neighbour's sensor would count as yours. Make one of your own"
        " with `cw-mqtt key generate`."
        if configured
        else "It is a sensor that was never given a key of its own, and that key is not in your"
        " config.yaml: a neighbour's, or yours. If yours, use `cw-mqtt key generate` and upload"
        " the sketch again.",
    )


def foreign_sensor(case: Case) -> Finding:
    """Two chains under one key."""
    sensors = {trial.sensor for trial in case.configured}
    count = sum(case.verdicts[sensor].get(Verdict.FOREIGN, 0) for sensor in sensors)
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
    surely = count >= FEW and chance < LIKELY_BELOW and not respelled_fits(case)
    came = (
        "all in checked lines"
        if case.lines
        else f"{case.whole_bursts} of {bursts} bursts are whole packets of 16 bytes{case.pace()}"
    )
    return Finding(
        "a wrong key, or another sensor",
        Likelihood.LIKELY if surely else Likelihood.UNKNOWN if count else Likelihood.NO,
        f"{count} of {len(case.blocks)} packets open with no configured key and not with the"
        f" example key; {came}",
        "Compare `cw-mqtt key fingerprint` with the comment in the sketch's sensor_key.h. If it"
        " is a neighbour's sensor, nothing need be done.",
    )


def reversed_bytes(case: Case) -> Finding:
    """A key fits once bytes are put in another order."""
    best = case.respelled
    return Finding(
        "bytes are in reversed order",
        sureness(best) if respelled_fits(case) else Likelihood.NO if fits(case) else none_of(case),
        f"{best.spelling.words}: {best.fit(len(case.blocks))}"
        if best.opened and not fits(case)
        else "no packet opens so that does not open as it is",
        "Write the key in the sketch in the same order as in config.yaml: `cw-mqtt key generate`"
        " makes both."
        if best.spelling.key > 1
        else "The receiver's or the sensor's program turns bytes around: use the sketches that"
        " come with cw-mqtt.",
    )


def shifted_stream(case: Case) -> Finding:
    """Packets open at another offset than the beginning of a burst."""
    total = sum(case.offsets.values())
    off = total - case.offsets.get(0, 0)
    common = max(case.offsets, key=case.offsets.__getitem__, default=0)
    found = 2 * off >= total > 0
    return Finding(
        "the stream is shifted",
        sureness(least_chance(case.trials)) if found and fits(case) else Likelihood.NO,
        f"{off} of {total} packets that open do not begin with a burst; most begin {common} bytes"
        " into it"
        if total
        else "no packet opens at any offset",
        "They are read all the same. But the receiver adds or loses bytes: look at its program,"
        " the cable and the adapter.",
    )


def damaged_lines(case: Case) -> Finding:
    """CW1 lines with wrong checksums."""
    bad, good = case.counts["crc_errors"], case.lines + len(case.told)
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
    zeros, ones, told = case.counts["zeros"], case.counts["ones"], radio_told(case)
    surely = zeros + ones >= FEW and zeros + ones >= len(case.blocks)
    likelihood = Likelihood.CERTAIN if surely or told in NO_RADIO else Likelihood.LIKELY
    return Finding(
        "the receiver's radio is stuck",
        likelihood if zeros + ones or told in NO_RADIO else Likelihood.NO,
        f"{zeros} blocks of zeros, {ones} of ones, {len(case.blocks)} others;"
        f" the receiver says of its radio: {told}",
        "Unplug the receiver and plug it in again; then check the wires between board and radio"
        " (MISO) and the radio's supply of 3.3 V.",
    )


def noise(case: Case) -> Finding:
    """Bytes that are no bursts of 16."""
    bursts = len(case.starts_s)
    odd = bursts - case.whole_bursts
    known = fits(case) or case.lines or case.told or case.counts["zeros"] or case.counts["ones"]
    surely = (bursts >= FEW and 2 * odd >= bursts) or case.longest_burst > LONG_BURST
    likelihood = Likelihood.LIKELY if surely and case.timed else Likelihood.UNKNOWN
    text = case.text_share > 0.95
    most_bits = min(8.0, math.log2(max(1, case.size)))
    return Finding(
        "noise: it is no receiver's stream",
        Likelihood.NO if known or (not odd and case.timed and not surely) else likelihood,
        f"{odd} of {bursts} bursts are not of 16 bytes, the longest has {case.longest_burst};"
        f" {case.entropy_bits:.1f} bits of entropy a byte, of at most {most_bits:.1f}"
        + ("; it is text" if text else ""),
        "Another program is on the board, or it is another device: upload the receiver's sketch."
        if text
        else "Check that the port is the receiver's and baudrate is 57600, and the cable.",
    )


def no_sensor(case: Case) -> Finding:
    """A receiver that tells of itself, and of no packet."""
    alone = bool(case.told) and not case.blocks and radio_told(case) not in NO_RADIO
    last = " ".join((case.told[-1].kind, *case.told[-1].fields)) if case.told else "nothing"
    return Finding(
        "the receiver works and hears no sensor",
        Likelihood.CERTAIN if alone else Likelihood.NO,
        f"{len(case.told)} lines about itself, the last: {last}; {len(case.blocks)} packets",
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


def radio_told(case: Case) -> str:
    """What a receiver with our firmware said last of its radio."""
    words = [told.fields[-1] for told in case.told if told.kind in ("H", "E") and told.fields]
    return words[-1] if words else "nothing"


def fits(case: Case) -> bool:
    """Whether some key opens packets as they are."""
    return any(is_sure(each) for each in case.trials)


def respelled_fits(case: Case) -> bool:
    """Whether no key opens packets as they are, and one does with bytes reversed."""
    return is_sure(case.respelled) and not fits(case)


def is_sure(trial: Trial) -> bool:
    """Whether chance hardly explains what a key opens."""
    return trial.chance < LIKELY_BELOW


def sureness(trial: Trial) -> Likelihood:
    """How sure it is that a key fits which chance hardly explains."""
    return Likelihood.CERTAIN if trial.chance < CERTAIN_BELOW else Likelihood.LIKELY


def none_of(case: Case) -> Likelihood:
    """What a key that opens nothing says: little, of few packets."""
    return Likelihood.NO if len(case.blocks) >= FEW or not case.size else Likelihood.UNKNOWN


def least_chance(trials: Iterable[Trial]) -> Trial:
    """The trial that chance explains worst."""
    return min(trials, key=lambda trial: trial.chance)


def loses_packets(trial: Trial) -> bool:
    """Whether a key opens packets of which most have lost those beside them."""
    return trial.opened > FEW and 2 * sum(trial.proofs.values()) < trial.opened


FINDERS: tuple[Callable[[Case], Finding], ...] = (
    healthy,
    lost_packets,
    refused,
    example_key,
    foreign_sensor,
    unknown_key,
    reversed_bytes,
    shifted_stream,
    damaged_lines,
    stuck_radio,
    noise,
    no_sensor,
    nothing,
)
