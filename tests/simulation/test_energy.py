from pathlib import Path

import pytest

from tests.simulation.energy import simulate


@pytest.mark.parametrize(("loss", "within"), [(0.02, 0.001), (0.2, 0.001)])
def test_energy_is_near_the_truth_whatever_is_lost(
    tmp_path: Path, loss: float, within: float
) -> None:
    result = simulate(tmp_path, days=10, loss=loss)

    assert result.stored_kwh == pytest.approx(result.true_kwh, rel=within)
    assert result.published_kwh == pytest.approx(result.stored_kwh, rel=1e-9)
