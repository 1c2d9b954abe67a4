"""A settings file on disk, as people write it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cw_mqtt.config.load import load_settings
from cw_mqtt.config.settings import Settings
from cw_mqtt.errors import SettingsError

# Lines 1 to 6 of every file; a test's own text begins in line 7.
LEAST = """\
receivers: [{name: hall, port: "simulated:"}]
sensors:
  - slug: main
    name: CitizenWatt
    key: "000102030405060708090a0b0c0d0e0f"
    voltage_v: 240
"""

Load = Callable[..., Settings]
Refuse = Callable[[str | bytes], SettingsError]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


@pytest.fixture
def load(path: Path) -> Load:
    """Load the least settings with a text added."""

    def load(added: str = "") -> Settings:
        path.write_text(LEAST + added)
        return load_settings(path)

    return load


@pytest.fixture
def refuse(path: Path) -> Refuse:
    """The error that a file of this text, whole, must give."""

    def refuse(text: str | bytes) -> SettingsError:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(SettingsError) as refused:
            load_settings(path)
        return refused.value

    return refuse
