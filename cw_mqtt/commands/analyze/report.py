"""The analysis of what was received, as people and as programs read it. Holds no key."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from textwrap import wrap
from typing import Any

from cw_mqtt.commands.analyze.analysis import Case
from cw_mqtt.commands.analyze.findings import Finding, Likelihood
from cw_mqtt.commands.common import MOST_SHOWN
from cw_mqtt.commands.decode import Explained

WIDTH = 80


def is_healthy(findings: Sequence[Finding]) -> bool:
    """Whether a configured sensor is certainly well."""
    return findings[0].likelihood is Likelihood.CERTAIN


def as_json(case: Case, findings: Sequence[Finding]) -> dict[str, Any]:
    """Everything, as JSON can hold it."""
    return {
        "healthy": is_healthy(findings),
        "bytes": case.size,
        "bursts": len(case.starts_s),
        "whole_bursts": case.whole_bursts,
        "interval_s": round(case.interval_s, 3) if case.timed else None,
        "packets": len(case.packets),
        "lines": case.lines,
        "counts": dict(case.counts),
        "keys": [
            {
                "sensor": test.sensor,
                "fingerprint": test.fingerprint,
                "previous": test.previous,
                "opened": test.opened,
                "refused": test.refused,
                "proofs": test.proofs,
                "failed": test.failed,
                "chance": test.chance,
                "verdicts": case.verdicts.get(test.sensor, {}),
                "explained": [each.fields() for each in test.explained[:MOST_SHOWN]],
            }
            for test in case.key_tests
        ],
        "findings": [asdict(finding) for finding in findings],
    }


def as_text(case: Case, findings: Sequence[Finding], *, verbose: bool) -> str:
    """What is the matter and what to do, then the numbers; `verbose`: all that was tried."""
    holding = [finding for finding in findings if finding.holds]
    lines = [line for finding in holding for line in _told(finding)] or [
        "It cannot be told yet: too little was heard. Listen longer, or give more packets."
    ]
    packets = f"{len(case.packets)} different packets in {len(case.starts_s)} bursts"
    lines += ["", *wrap(f"{packets}, {case.size} bytes{case.pace()}.", WIDTH)]
    if verbose:
        for test in case.key_tests:
            lines += wrap(test.fit(len(case.packets)), WIDTH, subsequent_indent="  ")
        others = [finding for finding in findings if not finding.holds]
        lines += ["", *(line for finding in others for line in _told(finding))]
        lines += _bytes_of(case)
    return "\n".join(lines)


def _told(finding: Finding) -> Iterator[str]:
    """A finding with its evidence, and if it holds what to do."""
    yield f"{finding.likelihood.capitalize()}: {finding.explanation}."
    for text in (finding.evidence, finding.advice if finding.holds else ""):
        yield from wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _bytes_of(case: Case) -> Iterator[str]:
    """Each packet byte by byte under each key; of many, the first."""
    for number, payload in enumerate(case.packets[:MOST_SHOWN]):
        yield f"\n{payload.hex()}"
        for test in case.key_tests:
            yield from _fields_of(test.explained[number])


def _fields_of(explained: Explained) -> Iterator[str]:
    """One packet under one key, a field a line."""
    verdict = "opens" if explained.plausible else "does not open"
    yield f"  {explained.sensor}: {verdict}, read as format {explained.form}"
    words = {True: "passes", False: "FAILS", None: ""}
    for c in explained.checks:
        row = f"    {c.bytes:6} {c.field:8} {c.raw:13} {c.value:12} {c.limit:18}"
        yield f"{row}{words[c.passed]}".rstrip()
