"""A running web server of each test alone, and the one account that it knows."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Engine

from cw_mqtt.config.settings import DatabaseSettings
from cw_mqtt.journal.journal import Journal
from cw_mqtt.records import Role
from cw_mqtt.runtime.health import Health
from cw_mqtt.store.engine import make_engine
from cw_mqtt.store.tables import metadata
from cw_mqtt.store.users import Accounts
from cw_mqtt.web.passwords import hash_password
from tests.home import Home
from tests.program import free_port
from tests.web.house import House
from tests.web.site import ADA, Site


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    home.close()


@pytest.fixture
def health(home: Home) -> Health:
    return home.health


@pytest.fixture
def journal(home: Home) -> Journal:
    return home.journal


@pytest.fixture(scope="session")
def password_hash() -> str:
    """What the database has of Ada's password; to make one takes time."""
    return hash_password(ADA[1])


@pytest.fixture
def engine(home: Home) -> Engine:
    """A database without accounts."""
    metadata.create_all(home.engine)
    return home.engine


@pytest.fixture
def away(tmp_path: Path) -> Engine:
    """A database that is unavailable."""
    return make_engine(DatabaseSettings(url="postgresql://cw@127.0.0.1:1/cw"), tmp_path)


@pytest.fixture
def port() -> int:
    """A port for the server."""
    return free_port()


@pytest.fixture
def make_site(
    journal: Journal, health: Health, port: int, engine: Engine, password_hash: str
) -> Iterator[Callable[..., Site]]:
    """Starts web servers of one test alone, which know Ada; it says what differs from the usual."""
    Accounts(engine).add(ADA[0], password_hash, Role.WRITE)
    with ExitStack() as sites:
        usual = {"engine": engine}
        yield lambda **differences: sites.enter_context(
            Site(journal, health, port, **(usual | differences))
        )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, password_hash: str) -> Iterator[Site]:
    """A working web server with one account, for all tests that change nothing in it."""
    home = Home(tmp_path_factory.mktemp("site"))
    metadata.create_all(home.engine)
    Accounts(home.engine).add(ADA[0], password_hash, Role.WRITE)
    with Site(home.journal, home.health, free_port(), engine=home.engine) as site:
        yield site.wait()
    home.close()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def house(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    password_hash: str,
) -> Iterator[House]:
    """A web server on each kind of database, for all tests that undo what they change in it."""
    url = None
    if request.param == "postgresql":
        server = request.getfixturevalue("shared_postgres")
        server.execute("CREATE DATABASE house")
        url = server.database_url("house")
    house = House(tmp_path_factory.mktemp("house"), url, free_port(), password_hash)
    yield house
    house.close()
