"""A running web server of each test alone, and the one account that it knows."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cw_mqtt.health import Health
from cw_mqtt.journal import Journal
from cw_mqtt.web.auth import hash_password
from tests.web.house import House
from tests.web.site import ADA, Site


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "data", durable=False)
    yield journal
    journal.close()


@pytest.fixture(scope="session")
def hashes() -> dict[str, str]:
    """What the database would know: one login and its password's hash."""
    return {ADA[0]: hash_password(ADA[1])}


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    return free_port()


@pytest.fixture
def make_site(
    journal: Journal, health: Health, port: int, hashes: dict[str, str]
) -> Iterator[Callable[..., Site]]:
    """Starts web servers of one test alone; it says what differs from the usual."""
    with ExitStack() as sites:
        usual = {"find_password_hash": hashes.get}
        yield lambda **differences: sites.enter_context(
            Site(journal, health, port, **(usual | differences))
        )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, hashes: dict[str, str]) -> Iterator[Site]:
    """A working web server with one account, for all tests that change nothing in it."""
    journal = Journal(tmp_path_factory.mktemp("site"), durable=False)
    with Site(journal, Health(), free_port(), find_password_hash=hashes.get) as site:
        yield site.wait()
    journal.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def house(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    hashes: dict[str, str],
) -> Iterator[House]:
    """A web server on each kind of database, for all tests of a module."""
    url = None
    if request.param == "postgresql":
        server = request.getfixturevalue("shared_postgres")
        server.execute("CREATE DATABASE house")
        url = server.database_url("house")
    house = House(tmp_path_factory.mktemp("house"), url, free_port(), hashes)
    yield house
    house.close()
