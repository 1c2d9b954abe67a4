"""The promise: who is accepted and who is not, with the simulation as the judge."""

from collections.abc import Iterator
from heapq import merge
from itertools import islice
from random import Random

import pytest

from tests.amounts import amount
from tests.packets import KEY, OTHER_KEY, START_TS
from tests.settings import SENSOR
from tests.simulate.air import Signal
from tests.simulate.cable import Cable
from tests.simulation.house import FORGED_AT_ONCE, Listener, Scene, fuzzed, on_the_air, sensor
from tests.simulation.scoring import Score, accepted_by_2014_rule, accepted_readings, score

SOME = amount(1000, torture=3000)
FORGED = amount(20_000, torture=200_000)
MANY = amount(3000, torture=30_000)
SEEDS = amount([1], torture=[1, 2, 3])
FIVE_MINUTES_S = 300.0
ATTIC = {**SENSOR, "slug": "attic", "name": "Attic"}
PROMISED = {0.0: 0.999, 0.01: 0.999, 0.02: 0.999, 0.1: 0.985}
ALMOST_ALL = 0.999  # of those with a neighbour in the chain: what is promised is this at 2 % loss


def judged(
    listener: Listener,
    scene: Scene,
    format_name: str = "v1",
    cable: Cable | None = None,
) -> Score:
    """The score of a bridge that hears one sensor in this scene."""
    heard = listener.hear(on_the_air(scene, sensor(scene, format_name=format_name)), cable)
    return score(heard, accepted_readings(listener.counting()))


@pytest.mark.parametrize(("loss", "lines"), [(0.02, False), (0.1, True)])
def test_honest_packets_are_accepted_and_hostile_ones_are_not(listener, loss, lines):
    cable = Cable("hall", Random(1), lines=lines)

    result = judged(listener, Scene(MANY, loss, hostile=True, reboot_every=MANY // 12), cable=cable)

    assert result.hostile > 3 * MANY
    assert result.share >= PROMISED[loss], result
    assert result.deceived == 0, result


@pytest.mark.parametrize("hostile", amount([False], torture=[False, True]))
@pytest.mark.parametrize("loss", amount([0.02], torture=[0.0, 0.01, 0.02, 0.1]))
def test_the_promise_holds_for_other_seeds(listener: Listener, loss: float, hostile: bool):
    result = judged(listener, Scene(3000, loss, hostile, seed=2, reboot_every=1000))

    assert result.share >= PROMISED[loss], result
    assert result.deceived == 0, result


@pytest.mark.parametrize("loss", [0.2, 0.5])
def test_nothing_hostile_is_accepted_however_much_is_lost(listener: Listener, loss: float):
    result = judged(listener, Scene(SOME, loss, hostile=True, reboot_every=SOME // 10))

    assert result.accepted >= 0.98 * result.provable, result
    assert result.deceived == 0, result


@pytest.mark.parametrize("hostile", amount([True], torture=[False, True]))
def test_the_rule_of_2014_fails_where_ours_holds(listener: Listener, hostile: bool):
    scene = Scene(3000, 0.02, hostile, reboot_every=500)
    heard = listener.hear(on_the_air(scene, sensor(scene)))

    ours = score(heard, accepted_readings(listener.counting()))
    before = score(heard, accepted_by_2014_rule(heard, KEY))

    assert before.share < 0.25 < PROMISED[0.02] <= ours.share
    assert before.deceived > 0 == ours.deceived


def test_replays_are_refused_across_restarts_of_the_bridge(listener: Listener):
    scene = Scene(SOME, 0.05, hostile=True, reboot_every=SOME // 8)
    signals = list(on_the_air(scene, sensor(scene)))

    for start in range(0, len(signals), 500):
        listener.hear(signals[start : start + 500])
        listener.restart()

    result = score(signals, accepted_readings(listener.counting()))
    assert result.accepted >= 0.997 * result.provable, result
    assert result.deceived == 0, result


def test_packets_that_prove_themselves_need_no_neighbour(listener: Listener):
    result = judged(listener, Scene(SOME, 0.1, hostile=True, reboot_every=500), "v1.1")

    assert result.share >= 0.999, result
    assert result.deceived == 0, result


@pytest.mark.parametrize("period_s", amount([1.0, 60.0], torture=[7.4, 9.0, 1.0, 60.0]))
def test_the_period_is_learned_and_not_assumed(listener: Listener, period_s: float):
    scene = Scene(SOME, 0.02, hostile=True, reboot_every=500, period_s=period_s, drift=0.1)

    result = judged(listener, scene)

    assert result.accepted >= ALMOST_ALL * result.provable, result
    assert result.deceived == 0, result


@pytest.mark.parametrize("lines", [False, True])
def test_a_bad_cable_costs_only_the_packets_that_it_spoils(listener: Listener, lines: bool):
    cable = Cable("hall", Random(1), share=0.05, lines=lines)  # two faults of five are fatal

    result = judged(listener, Scene(SOME, hostile=True, reboot_every=500), cable=cable)

    assert result.accepted >= ALMOST_ALL * result.provable, result
    assert result.deceived == 0, result


def test_two_households_of_different_keys_do_not_disturb_each_other(make_listener):
    listener = make_listener(sensors=[SENSOR, {**ATTIC, "key": OTHER_KEY.hex()}])
    scene = Scene(SOME, 0.02, hostile=True, reboot_every=500)
    attic = sensor(scene, "attic", key=OTHER_KEY, start_ts=START_TS + 3)

    heard = listener.hear(on_the_air(scene, merge(sensor(scene), attic)))

    results = scores(listener, heard)
    assert all(r.accepted >= ALMOST_ALL * r.provable for r in results.values()), results
    assert not any(r.deceived for r in results.values()), results


@pytest.mark.parametrize("seed", SEEDS)
def test_two_sensors_under_one_key_are_told_apart(make_listener, seed: int):
    listener = make_listener(sensors=[SENSOR, ATTIC])
    scene = Scene(SOME, 0.02, hostile=True, seed=seed, reboot_every=500)

    heard = listener.hear(on_the_air(scene, with_second(scene, "attic")))

    results = scores(listener, heard)
    assert all(r.accepted >= ALMOST_ALL * r.provable for r in results.values()), results
    assert not any(r.deceived for r in results.values()), results


@pytest.mark.parametrize("hostile", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_neighbour_under_the_same_key_is_no_part_of_the_household(listener, seed, hostile):
    scene = Scene(SOME, 0.02, hostile, seed=seed, reboot_every=500)

    heard = listener.hear(on_the_air(scene, with_second(scene, "neighbour")))

    result = score(heard, accepted_readings(listener.counting()))
    assert result.accepted >= ALMOST_ALL * result.provable, result
    assert result.deceived == 0, result


def test_forged_packets_are_never_accepted_and_mute_nobody(listener: Listener):
    scene = Scene(FORGED // FORGED_AT_ONCE + 1, loss=0.02, reboot_every=100)

    heard = listener.hear(fuzzed(scene, sensor(scene)), Cable("hall", Random(1), lines=True))

    result = score(heard, accepted_readings(listener.counting()))
    assert result.hostile == FORGED
    assert result.accepted >= ALMOST_ALL * result.provable, result
    assert result.deceived == 0, result


def with_second(scene: Scene, slug: str) -> Iterator[Signal]:
    """Two sensors under one key, of which the second began later, while both are sending."""
    second = sensor(scene, slug, start_ts=START_TS + FIVE_MINUTES_S)
    return islice(merge(sensor(scene), second), 2 * scene.packets - 100)


def scores(listener: Listener, heard) -> dict[str, Score]:
    """The score of each of two sensors."""
    return {
        slug: score(heard, accepted_readings(listener.counting(slug)), slug)
        for slug in ("main", "attic")
    }
