"""An old base to take over, and an installation on each kind of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.installation import Installation
from tests.old_base import make_old_base


@pytest.fixture
def url(postgres_url: str) -> str:
    """The URL of an old base with a thousand measures."""
    make_old_base(postgres_url)
    return postgres_url


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Where settings will be written."""
    return tmp_path / "config.yaml"


@pytest.fixture
def here(tmp_path: Path, database_url: str | None) -> Iterator[Installation]:
    installation = Installation(tmp_path / "here", database_url)
    yield installation
    installation.home.close()
