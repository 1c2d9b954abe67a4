"""`make torture`: tables of losses, attacks and lives, ten million forged blocks, and a year.

python -m tests.torture [table] [lives] [fuzz] [year]
"""

import logging
import math
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import click

from cw_mqtt.decode.formats import FORMATS
from tests.packets import KEY
from tests.settings import SENSOR
from tests.simulation.energy import simulate
from tests.simulation.house import FORGED_AT_ONCE, Listener, Scene, fuzzed, on_the_air, sensor
from tests.simulation.lives import DELIVERIES, LIVES, air, delivered
from tests.simulation.scoring import Score, accepted_by_2014_rule, accepted_readings, score

LOSSES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
PROMISED = {0.0: 0.999, 0.01: 0.999, 0.02: 0.999, 0.1: 0.985}
SEEDS = (1, 2, 3)
LIFE_LOSSES = (0.0, 0.05, 0.2)
SIGNALS_A_RUN = 20_000  # between two restarts of the bridge
FORGED = 10_000_000
FORGED_A_ROUND = 200_000
Task, Result = TypeVar("Task"), TypeVar("Result")
COLUMNS = "{:>5} {:>7} {:>8} {:>9} {:>9} {:>8} {:>9} {:>7} {:>6}  | {:>9} {:>8}"
HEADINGS = (
    *("loss", "attack", "honest", "accepted", "provable", "hostile", "replayed", "forged", "late"),
    *("2014 rule", "deceived"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the bridge and the rule of 2014 did in a scene."""

    scene: Scene
    ours: Score
    before: Score


def play(scene: Scene) -> Outcome:
    """Hear a whole scene, with a restart of the bridge now and then."""
    logging.disable(logging.WARNING)
    signals = list(on_the_air(scene, sensor(scene)))
    with tempfile.TemporaryDirectory() as folder:
        listener = Listener(Path(folder))
        for start in range(0, len(signals), SIGNALS_A_RUN):
            listener.hear(signals[start : start + SIGNALS_A_RUN])
            listener.restart()
        ours = score(signals, accepted_readings(listener.counting()))
        listener.close()
    return Outcome(scene, ours, score(signals, accepted_by_2014_rule(signals, KEY)))


def fuzz(seed: int) -> Score:
    """Hear a sensor amid two hundred thousand forged blocks."""
    logging.disable(logging.WARNING)
    scene = Scene(FORGED_A_ROUND // FORGED_AT_ONCE + 1, 0.02, seed=seed, reboot_every=500)
    with tempfile.TemporaryDirectory() as folder:
        listener = Listener(Path(folder))
        heard = listener.hear(fuzzed(scene, sensor(scene)))
        result = score(heard, accepted_readings(listener.counting()))
        listener.close()
    return result


def in_parallel(label: str, work: Callable[[Task], Result], tasks: Iterable[Task]) -> list[Result]:
    """Work on all cores, with a progress bar."""
    tasks = list(tasks)
    with (
        ProcessPoolExecutor(os.cpu_count()) as pool,
        click.progressbar(
            pool.map(work, tasks), length=len(tasks), label=label, show_pos=True, file=sys.stderr
        ) as results,
    ):
        return list(results)


def table() -> bool:
    """Show who accepts what; whether every promise was kept."""
    scenes = [
        Scene(loss=loss, hostile=hostile, seed=seed)
        for loss in LOSSES
        for hostile in (False, True)
        for seed in SEEDS
    ]
    outcomes: dict[Scene, list[Outcome]] = defaultdict(list)
    for outcome in in_parallel("scenes of 30,000 packets", play, scenes):
        outcomes[replace(outcome.scene, seed=0)].append(outcome)
    click.echo(COLUMNS.format(*HEADINGS))
    kept = [told(scene, each) for scene, each in outcomes.items()]
    return all(kept)


def told(scene: Scene, outcomes: list[Outcome]) -> bool:
    """One line of the table: the same scene under several seeds; whether the promise was kept."""
    nothing = Score(0, 0, 0, 0, 0, 0, 0, 0, 0)
    ours = sum((outcome.ours for outcome in outcomes), nothing)
    before = sum((outcome.before for outcome in outcomes), nothing)
    row = (
        f"{scene.loss:.0%}",
        "yes" if scene.hostile else "no",
        ours.honest,
        f"{ours.share:.3%}",
        f"{ours.accepted / ours.provable:.3%}",
        ours.hostile,
        ours.replayed,
        ours.forged,
        ours.late,
        f"{before.share:.2%}",
        before.deceived,
    )
    kept = ours.share >= PROMISED.get(scene.loss, 0) and ours.deceived == 0
    click.echo(COLUMNS.format(*row) + ("" if kept else "  BROKEN"))
    return kept


@dataclass(frozen=True, slots=True)
class Trial:
    """What happens to sensors, by name, with how much loss."""

    name: str
    format_name: str
    loss: float
    seed: int


def live(trial: Trial) -> Score:
    """Hear sensors in a life, or as a network delivers them; all of ours together."""
    logging.disable(logging.WARNING)
    make = air if trial.name in LIVES else delivered
    signals = make(trial.name, trial.format_name, trial.loss, trial.seed)
    slugs = sorted({signal.sender for signal in signals} & {"main", "attic"}, reverse=True)
    sensors = [{**SENSOR, "slug": slug, "name": slug} for slug in slugs]
    with tempfile.TemporaryDirectory() as folder:
        listener = Listener(Path(folder), sensors=sensors)
        heard = listener.hear(signals)
        scores = [score(heard, accepted_readings(listener.counting(s)), s) for s in slugs]
        listener.close()
    return sum(scores[1:], scores[0])


def lives() -> bool:
    """Show what is accepted in the lives of sensors; whether no packet went to another's name."""
    trials = [
        Trial(name, format_name, loss, seed)
        for name in (*LIVES, *DELIVERIES)
        for format_name in FORMATS
        for loss in LIFE_LOSSES
        for seed in SEEDS
    ]
    results: dict[Trial, list[Score]] = defaultdict(list)
    scores = in_parallel("lives of sensors", live, trials)
    for trial, result in zip(trials, scores, strict=True):
        results[replace(trial, seed=0)].append(result)
    click.echo("  loss  format  provable  accepted  of others")
    kept = True
    for trial, each in results.items():
        total = sum(each[1:], each[0])
        kept &= total.accepted >= 0.998 * total.provable and not total.deceived
        click.echo(
            f"{trial.loss:6.0%}  {trial.format_name:6}  {total.provable:8}  "
            f"{total.accepted / total.provable:8.3%}  {total.deceived:9}  {trial.name}"
        )
    return kept


def forged_blocks() -> bool:
    """Send ten million random and mutated blocks; whether none was accepted and nobody muted."""
    rounds = range(1, FORGED // FORGED_A_ROUND + 1)
    results = in_parallel("rounds of 200,000 forged blocks", fuzz, rounds)
    result = sum(results[1:], results[0])
    click.echo(
        f"{result.hostile:,} forged blocks: {result.deceived} accepted. Among them "
        f"{result.provable:,} packets that could be proven: {result.accepted:,} accepted"
    )
    return result.deceived == 0 and result.accepted >= 0.999 * result.provable


def year() -> bool:
    """A year of a household at 2 % loss; whether its energy is within a thousandth of the truth."""
    with tempfile.TemporaryDirectory(prefix="cw-mqtt-torture-") as folder:
        result = simulate(Path(folder), days=365, loss=0.02)
    click.echo(
        f"a year at 2 % loss: {result.true_kwh:.3f} kWh drawn, {result.stored_kwh:.3f} stored, "
        f"{result.published_kwh:.3f} published"
    )
    return all(
        math.isclose(kwh, result.true_kwh, rel_tol=0.001)
        for kwh in (result.stored_kwh, result.published_kwh)
    )


def main() -> None:
    """Run what is named, or all; ends with 1 when a promise was broken."""
    runs: dict[str, Callable[[], bool]] = {
        "table": table,
        "lives": lives,
        "fuzz": forged_blocks,
        "year": year,
    }
    kept = [runs[name]() for name in sys.argv[1:] or runs]
    sys.exit(not all(kept))


if __name__ == "__main__":
    main()
