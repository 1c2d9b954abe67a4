"""A home on each kind of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.home import Home


@pytest.fixture
def home(tmp_path: Path, database_url: str | None) -> Iterator[Home]:
    home = Home(tmp_path, database_url)
    yield home
    home.close()


@pytest.fixture
def postgres_home(tmp_path: Path, postgres_url: str) -> Iterator[Home]:
    home = Home(tmp_path, postgres_url)
    yield home
    home.close()
