from pathlib import Path

import pytest

from tests.simulation.energy import simulate


def test_energy_is_within_a_thousandth_of_the_truth_at_two_percent_loss(tmp_path: Path) -> None:
    result = simulate(tmp_path, days=10, loss=0.02)

    assert result.stored_kwh == pytest.approx(result.true_kwh, rel=0.001)
    assert result.published_kwh == pytest.approx(result.stored_kwh, rel=1e-9)
