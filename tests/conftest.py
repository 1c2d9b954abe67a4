"""What tests may ask for: real servers; and what is demanded of each: no unnoticed warning."""

import itertools
import logging
import signal
import sys
from collections.abc import Iterator
from logging.handlers import BufferingHandler
from pathlib import Path

import hypothesis
import pytest

from cw_mqtt.runtime.logs import PatientHandler
from tests.amounts import TORTURE, amount
from tests.missing import tell_what_did_not_run
from tests.mosquitto import Broker
from tests.postgres import PostgresServer, running_postgres

# A test run that is asked to end stops its servers first, as it does after Ctrl+C.
signal.signal(signal.SIGTERM, signal.default_int_handler)

# "Ignored", as a shell in the background and `nohup` set it, is inherited by all that is started
# here, which could then not be interrupted. A handler that does nothing is not.
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, lambda *_: None)

# Generated cases are the same each time, and ever others in `make torture`; none is timed.
hypothesis.settings.register_profile(
    "ours",
    max_examples=amount(25, torture=500),
    derandomize=not TORTURE,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
hypothesis.settings.load_profile("ours")

LATIN1 = "ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
database_numbers = itertools.count(1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    tell_what_did_not_run(terminalreporter)


@pytest.fixture(autouse=True)
def no_unannounced_warning(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that logs a warning, unless it takes `caplog` to look at the log itself."""
    if "caplog" in request.fixturenames:
        yield
        return
    kept = BufferingHandler(sys.maxsize)
    kept.setLevel(logging.WARNING)
    logging.getLogger("cw_mqtt").addHandler(kept)
    yield
    logging.getLogger("cw_mqtt").removeHandler(kept)
    warnings = [record.getMessage() for record in kept.buffer]
    assert not warnings, "a test that expects warnings takes `caplog`"


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Takes away what a command that ran in this process has set up for its log."""
    yield
    logging.getLogger("cw_mqtt").setLevel(logging.NOTSET)
    for handler in filter(lambda each: isinstance(each, PatientHandler), logging.root.handlers[:]):
        logging.root.removeHandler(handler)
        handler.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A running Mosquitto of this test alone."""
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    broker = Broker(folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def postgres_server() -> Iterator[PostgresServer]:
    """A running PostgreSQL of this test alone, which may stop and start it."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL for all tests; never to be stopped by one of them."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(shared_postgres: PostgresServer) -> str:
    """The URL of an empty database."""
    return shared_postgres.empty()


@pytest.fixture
def latin1_url(shared_postgres: PostgresServer) -> Iterator[str]:
    """The URL of a fresh empty database that holds the characters of LATIN1 alone."""
    name = f"test_{next(database_numbers)}"
    shared_postgres.execute(f"CREATE DATABASE {name} {LATIN1}")
    yield shared_postgres.database_url(name)
    shared_postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """Runs the test once for each kind of database: None is SQLite in `data_dir`."""
    return request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
