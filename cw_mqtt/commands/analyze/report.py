"""The analysis of what was heard, as people and as programs read it. Pure; holds no key."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from cw_mqtt.commands.analyze.analysis import Case
from cw_mqtt.commands.analyze.explain import Explained
from cw_mqtt.commands.analyze.findings import Finding, Likelihood
from cw_mqtt.commands.analyze.trial import one_in

MOST_SHOWN = 20


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
        "packets": len(case.blocks),
        "lines": case.lines,
        "counts": dict(case.counts),
        "keys": [
            {
                "sensor": trial.sensor,
                "fingerprint": trial.fingerprint,
                "previous": trial.previous,
                "opened": trial.opened,
                "refused": trial.refused,
                "proofs": trial.proofs,
                "failed": trial.failed,
                "chance": trial.chance,
                "verdicts": case.verdicts[trial.sensor],
                "explained": [each.fields() for each in trial.explained[:MOST_SHOWN]],
            }
            for trial in case.trials
        ],
        "findings": [asdict(finding) for finding in findings],
    }


def as_text(case: Case, findings: Sequence[Finding], *, verbose: bool) -> str:
    """The numbers, every explanation with its evidence, and what to do."""
    lines = [
        f"{case.size} bytes in {len(case.starts_s)} bursts{case.pace()}.",
        f"{len(case.blocks)} different packets are looked at.",
        "",
        *table(("key", "sensor", "open", "chance", "proofs", "failed checks"), key_rows(case)),
        "",
        *table(
            ("likelihood", "explanation", "evidence"),
            [(each.likelihood, each.explanation, each.evidence) for each in findings],
        ),
        "",
        *conclusions(findings),
    ]
    if verbose:
        lines += bytes_of(case)
    return "\n".join(lines)


def key_rows(case: Case) -> list[tuple[str, ...]]:
    """What each key makes of the packets."""
    return [
        (
            f"{trial.fingerprint}{' (previous)' if trial.previous else ''}",
            trial.sensor,
            f"{trial.opened} of {len(case.blocks)}",
            one_in(trial.chance),
            ", ".join(f"{name} {count}" for name, count in trial.proofs.items()) or "-",
            ", ".join(f"{name} {count}" for name, count in trial.failed.items()) or "-",
        )
        for trial in case.trials
    ]


def conclusions(findings: Sequence[Finding]) -> Iterator[str]:
    """What holds, and what to do about it."""
    holding = [finding for finding in findings if finding.holds]
    if not holding:
        yield "It cannot be told yet: too little was heard. Listen longer, or give more packets."
    for finding in holding:
        yield f"{finding.likelihood.capitalize()}: {finding.explanation}."
        if finding.advice:
            yield f"  {finding.advice}"


def bytes_of(case: Case) -> Iterator[str]:
    """Each packet byte by byte under each key; of many, the first."""
    for number, block in enumerate(case.blocks[:MOST_SHOWN]):
        yield f"\n{block.hex()}"
        for trial in case.trials:
            yield from fields_of(trial.explained[number])


def fields_of(explained: Explained) -> list[str]:
    """One packet under one key, a field a line."""
    words = {True: "passes", False: "FAILS", None: ""}
    rows = [(c.bytes, c.field, c.raw, c.value, c.limit, words[c.passed]) for c in explained.checks]
    verdict = "opens" if explained.plausible else "does not open"
    head = f"  {explained.sensor}: {verdict}, read as form {explained.form}"
    names = ("bytes", "field", "raw", "value", "limit", "check")
    return [head, *(f"    {line}" for line in table(names, rows))]


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows under their names, in columns as wide as they must be."""
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    lines = (zip(row, widths, strict=True) for row in (names, *rows))
    return ["  ".join(text.ljust(width) for text, width in line).rstrip() for line in lines]
