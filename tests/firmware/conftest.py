"""The compiled sketches: once for all tests."""

import pytest

from tests.firmware.simulator import Simulation, Workshop, open_workshop


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Compiles what a test asks for."""
    return open_workshop(tmp_path_factory.mktemp("sketches"))


@pytest.fixture
def receiver(workshop: Workshop) -> Simulation:
    """A receiver board alone."""
    return Simulation(workshop.make("host"), receiver=workshop.make("receiver.elf"))
