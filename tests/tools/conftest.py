from pathlib import Path

import pytest

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
