"""How the benches tell their figures."""

import statistics
from pathlib import Path


def say(what: str, figure: str) -> None:
    """One line of the result."""
    print(f"{what:58} {figure}", flush=True)  # noqa: T201 - it is what the bench is for


def percentile(values: list[float], percent: int) -> float:
    """A percentile of many values."""
    return statistics.quantiles(values, n=100)[percent - 1]


def cpu_s(pid: int) -> float:
    """The CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
