from pathlib import Path

import pytest

from tests.amounts import amount
from tests.simulation.energy import simulate


@pytest.mark.parametrize("loss", amount([0.1], torture=[0.02, 0.2]))
def test_energy_is_near_the_truth_whatever_is_lost(tmp_path: Path, loss: float) -> None:
    result = simulate(tmp_path, days=amount(1, torture=10), loss=loss)

    assert result.stored_kwh == pytest.approx(result.true_kwh, rel=0.001)
    assert result.published_kwh == pytest.approx(result.stored_kwh, rel=1e-9)
