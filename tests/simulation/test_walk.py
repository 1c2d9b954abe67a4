"""Whatever happens to a house, in any order: stored once, no total falls, no figure invented."""

import logging
from pathlib import Path

import pytest

from tests.amounts import amount
from tests.simulation.walk import STEPS, Walk

SEEDS = range(amount(200, torture=5000))


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_all_is_stored_once_and_no_total_falls(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    caplog.set_level(logging.CRITICAL)
    walk = Walk(tmp_path / "home", seed)

    for _ in range(STEPS):
        walk.step()
    walk.settle()

    assert walk.stored_twice() == [], walk.said
    assert walk.not_stored() == set(), walk.said
    assert walk.falls() == [], walk.said
    computed_kwh = walk.corrections_kwh_computed()
    assert walk.corrections_kwh() == pytest.approx(computed_kwh, abs=0.001), walk.said
    assert walk.told["energy"]
    walk.close()
