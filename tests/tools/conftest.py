"""An installation on each kind of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.installation import Installation


@pytest.fixture
def here(tmp_path: Path, database_url: str | None) -> Iterator[Installation]:
    installation = Installation(tmp_path / "here", database_url)
    yield installation
    installation.home.close()
