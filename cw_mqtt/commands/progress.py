"""A bar in the terminal for long work."""

import sys
from collections.abc import Iterable

import click

STEPS = 1000


def show_progress(label: str, shares: Iterable[float], *, hidden: bool = False) -> None:
    """Work through `shares` of what is to be done, from 0 to 1, with a bar that follows them."""
    with click.progressbar(length=STEPS, label=label, file=sys.stderr, hidden=hidden) as bar:
        for share in shares:
            bar.update(max(0, round(share * STEPS) - bar.pos))
