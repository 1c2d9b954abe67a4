"""Every example that people may copy is loaded."""

import re
from pathlib import Path

import pytest

from cw_mqtt.config.load import load_settings
from cw_mqtt.config.settings import Settings
from tests.config.conftest import LEAST

ROOT = Path(__file__).parents[2]
DOCUMENTATION = (ROOT / "docs/configuration.md").read_text()
PAGES = DOCUMENTATION + (ROOT / "docs/mqtt.md").read_text()
SHIPPED = (ROOT / "config.yaml").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", PAGES, re.MULTILINE | re.DOTALL)
MENTIONED_FILES = (
    "mqtt-password",
    "db-password",
    "bridge.pem",
    "bridge-key.pem",
    "ca.pem",
    "fullchain.pem",
    "privkey.pem",
)


@pytest.fixture
def mentioned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the examples speak of."""
    monkeypatch.setenv("CW_MQTT_PASSWORD", "secret")
    for name in MENTIONED_FILES:
        (tmp_path / name).write_text("secret\n")


@pytest.mark.usefixtures("mentioned")
@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_documentation_loads(example: str, path: Path) -> None:
    path.write_text(example if "sensors:" in example else LEAST + example)

    settings = load_settings(path)

    assert settings.sensors[0].name == "CitizenWatt"


def test_the_shipped_file_loads_and_needs_nothing_but_itself() -> None:
    settings = load_settings(ROOT / "config.yaml")

    assert settings.receivers[0].port == "simulated:"
    assert settings.mqtt is None


@pytest.mark.usefixtures("mentioned")
def test_the_shipped_file_loads_with_every_example_line_used(path: Path) -> None:
    lines = re.sub(r"^( *)# (?= *[a-z_]+:( |$))", r"\1", SHIPPED, flags=re.MULTILINE)
    path.write_text(lines.replace('port: "simulated:"', ""))

    settings = load_settings(path)

    assert settings.mqtt
    assert settings.database.url


@pytest.mark.parametrize("section", Settings.model_fields)
def test_every_section_has_a_heading_that_mistakes_point_to(section: str) -> None:
    assert f"\n## {section}\n" in DOCUMENTATION
