"""What is ours is closed to others, and nothing else."""

import os
import stat
from pathlib import Path

import pytest

from cw_mqtt.config.load import load_settings, warnings
from cw_mqtt.private_files import private_folder
from tests.command import started, write_config
from tests.waiting import wait_until


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def make(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    for name in names:
        (folder / name).touch()
        (folder / name).chmod(0o644)


def test_a_folder_from_before_and_what_is_in_it_are_closed(tmp_path: Path) -> None:
    names = ("citizenwatt.sqlite", "citizenwatt.sqlite-wal", "journal.sqlite", "journal.lock")
    make(tmp_path / "data", *names)

    private_folder(tmp_path / "data")

    assert mode(tmp_path / "data") == 0o700
    assert {mode(tmp_path / "data" / name) for name in names} == {0o600}


def test_a_folder_with_others_in_it_stays_open_and_our_files_do_not(tmp_path: Path) -> None:
    make(tmp_path / "home", "journal.sqlite", "shopping.txt")
    (tmp_path / "home" / "music").mkdir()

    private_folder(tmp_path / "home")

    assert mode(tmp_path / "home") == 0o755
    assert mode(tmp_path / "home" / "journal.sqlite") == 0o600
    assert mode(tmp_path / "home" / "shopping.txt") == 0o644


def test_a_folder_for_everybody_stays_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)

    private_folder(tmp_path)

    assert mode(tmp_path) == 0o1777


def test_all_that_the_bridge_makes_is_private_from_the_start(tmp_path: Path) -> None:
    config, data = write_config(tmp_path, web="off"), tmp_path / "data"

    with started(config, "run", preexec_fn=lambda: os.umask(0o022)) as process:
        wait_until((data / "citizenwatt.sqlite-wal").exists)
        modes = {mode(path) for path in data.iterdir()}
        process.terminate()

    assert mode(data) == 0o700
    assert modes == {0o600}


@pytest.fixture
def open_above(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the folders above the test's own, which pytest closes."""
    monkeypatch.setattr(Path, "parents", property(lambda path: [path.parent]))


@pytest.mark.usefixtures("open_above")
@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "is_warned_of"),
    [(0o644, 0o755, True), (0o640, 0o755, False), (0o644, 0o700, False)],
)
def test_secrets_that_every_user_can_read_are_warned_of(
    tmp_path: Path,
    file_mode: int,
    folder_mode: int,
    is_warned_of: bool,
) -> None:
    config = write_config(tmp_path)
    tmp_path.chmod(folder_mode)
    config.chmod(file_mode)

    advice = warnings(load_settings(config))

    assert any(f"{config} can be read by every user" in text for text in advice) is is_warned_of
    config.chmod(0o600)
    assert not any("every user" in text for text in warnings(load_settings(config)))


@pytest.mark.usefixtures("open_above")
def test_a_secret_in_a_file_of_its_own_is_one_too(tmp_path: Path) -> None:
    key, config = tmp_path / "key", tmp_path / "config.yaml"
    key.write_text("0123456789abcdef" * 2)
    config.write_text(
        "receivers: [{name: hall, port: 'simulated:'}]\n"
        "sensors: [{slug: main, name: Main, key: !file key}]\n"
    )
    tmp_path.chmod(0o755)
    config.chmod(0o600)
    key.chmod(0o644)

    (advice,) = warnings(load_settings(config))

    assert advice.startswith(f"{key} can be read by every user")
