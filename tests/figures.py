"""How the benches tell their figures."""

import statistics


def say(what: str, figure: str) -> None:
    """One line of the result."""
    print(f"{what:58} {figure}", flush=True)  # noqa: T201 - it is what the bench is for


def percentile(values: list[float], percent: int) -> float:
    """A percentile of many values."""
    return statistics.quantiles(values, n=100)[percent - 1]
