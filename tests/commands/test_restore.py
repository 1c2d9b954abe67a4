"""`cw-mqtt restore` of a backup, from and to both databases."""

import json
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from sqlalchemy import select

from cw_mqtt.model import Energy, SensorState
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.tables import metadata
from tests.commands.installation import Installation
from tests.home import Home, reading
from tests.store.test_rollups import assert_right


@pytest.fixture
def backup(here: Installation) -> Path:
    """A backup of three readings, one of which is only in the journal, and of a login."""
    published = Energy(total_j=4004.0, tariffs_j={"day": 4004.0}, loaded=True)
    here.home.hear(reading(0, power_w=1 / 3), reading(8, night=True))
    here.home.store()
    here.home.journal.commit([SensorState("main", energy=published)], [reading(16)])
    here.call("user", "add", "ada", "--password", "long enough")
    path = here.folder / "backup.zip"
    assert here.call("backup", path).exit_code == 0
    return path


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Installation]:
    """Another installation, on SQLite, in which nothing is yet."""
    installation = Installation(tmp_path / "there", None)
    installation.home.journal.close()
    yield installation
    installation.home.engine.dispose()


def contents(home: Home) -> dict[str, set[tuple[object, ...]]]:
    """All rows of all tables."""
    with transaction(home.engine) as connection:
        return {
            table.name: {tuple(row) for row in connection.execute(select(table))}
            for table in metadata.sorted_tables
        }


def lose_journal(home: Home) -> None:
    home.journal.close()
    for file in home.folder.glob("journal.*"):
        file.unlink()


def damage(path: Path, name: str) -> None:
    """Change a byte in the middle of a member."""
    with ZipFile(path) as file:
        found = file.getinfo(name)
    content = bytearray(path.read_bytes())
    extra_bytes = int.from_bytes(content[found.header_offset + 28 :][:2], "little")
    start = found.header_offset + 30 + len(name) + extra_bytes
    content[start + found.compress_size // 2] ^= 0xFF
    path.write_bytes(content)


def rewrite(path: Path, name: str, content: bytes) -> None:
    """Write a zip anew with another content of one member."""
    with ZipFile(path) as old:
        members = {member: old.read(member) for member in old.namelist()}
    with ZipFile(path, "w") as new:
        for member, kept in (members | {name: content}).items():
            new.writestr(member, kept)


def test_a_backup_moves_everything_to_another_database(
    here: Installation, there: Installation, backup: Path
) -> None:
    lose_journal(there.home)

    result = there.call("restore", backup)

    assert result.exit_code == 0
    assert contents(there.home) == contents(here.home)
    assert_right(there.home)
    assert there.home.ask("SELECT login FROM users") == [("ada",)]


def test_a_backup_of_sqlite_is_restored_to_postgresql_and_ids_go_on(
    tmp_path: Path, postgres_url: str
) -> None:
    here = Installation(tmp_path / "here", None)
    here.home.hear(reading(0), reading(8, power_w=0.1))
    here.home.store()
    here.call("backup", tmp_path / "backup.zip")
    there = Installation(tmp_path / "there", postgres_url)
    lose_journal(there.home)

    result = there.call("restore", tmp_path / "backup.zip")

    assert result.exit_code == 0
    assert contents(there.home) == contents(here.home)
    there.call("import", there.write(f"{reading(16).ts},1"))
    assert there.home.ask("SELECT id FROM measures ORDER BY id") == [(1,), (2,), (3,)]
    assert_right(there.home)
    here.home.close()
    there.home.engine.dispose()


def test_the_journal_goes_with_it(here: Installation, there: Installation, backup: Path) -> None:
    lose_journal(there.home)

    there.call("restore", backup)

    restored = Home(there.home.folder, None)
    assert restored.journal.id == here.home.journal.id
    assert restored.journal.states()["main"].energy == Energy(
        total_j=4004.0, tariffs_j={"day": 4004.0}, loaded=True
    )
    restored.store()
    assert restored.stored() == [0, 8, 16]
    restored.close()


def test_what_was_ever_heard_goes_with_the_journal(here: Installation, there: Installation) -> None:
    (here.home.folder / "heard.12").write_bytes(b"bits" * 1000)
    backup = here.folder / "backup.zip"
    here.call("backup", backup)
    lose_journal(there.home)

    there.call("restore", backup)

    assert (there.home.folder / "heard.12").read_bytes() == b"bits" * 1000


def test_the_journal_that_belongs_to_the_backup_stays(here: Installation, backup: Path) -> None:
    here.home.hear(reading(24))
    here.home.store()
    here.home.journal.close()

    result = here.call("restore", backup, "--replace")

    assert result.exit_code == 0
    here.home = Home(here.home.folder, here.home.url)
    assert here.home.stored() == [0, 8]
    here.home.store()
    assert here.home.stored() == [0, 8, 16, 24]


def test_another_journal_is_replaced_only_if_that_is_said(
    there: Installation, backup: Path
) -> None:
    kept = there.call("restore", backup)
    replaced = there.call("restore", backup, "--replace")

    assert (kept.exit_code, replaced.exit_code) == (2, 0)
    assert "is another installation's; --replace" in kept.stderr
    assert there.home.stored() == [0, 8]


def test_a_database_with_rows_is_replaced_only_if_that_is_said(
    here: Installation, backup: Path
) -> None:
    before = contents(here.home)
    here.home.journal.close()
    here.home.tell("UPDATE measures SET value = 7")

    kept = here.call("restore", backup)
    values = {value for _, value, _ in here.measures()}
    replaced = here.call("restore", backup, "--replace")

    assert (kept.exit_code, values, replaced.exit_code) == (2, {7.0}, 0)
    assert "is not empty; --replace empties it first" in kept.stderr
    assert contents(here.home) == before


def test_nothing_is_restored_while_the_bridge_runs(here: Installation, backup: Path) -> None:
    result = here.call("restore", backup, "--replace")

    assert result.exit_code == 2
    assert "is in use by process" in result.stderr


@pytest.mark.parametrize("member", ["measures.jsonl", "journal.sqlite", "manifest.json"])
def test_a_damaged_backup_changes_nothing(here: Installation, backup: Path, member: str) -> None:
    before = contents(here.home)
    here.home.journal.close()
    damage(backup, member)

    result = here.call("restore", backup, "--replace")

    assert result.exit_code == 2
    assert "is damaged" in result.stderr
    assert contents(here.home) == before


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"time,watts\n1,2\n"])
def test_what_is_no_backup_is_said(here: Installation, content: bytes) -> None:
    path = here.folder / "backup.zip"
    path.write_bytes(content)

    result = here.call("restore", path)

    assert result.exit_code == 2
    assert "is damaged, or no backup of cw-mqtt" in result.stderr


def test_a_cut_off_backup_is_found(here: Installation, backup: Path) -> None:
    backup.write_bytes(backup.read_bytes()[:-100])

    assert "is damaged" in here.call("restore", backup).stderr


def test_a_backup_of_a_newer_program_is_refused(here: Installation, backup: Path) -> None:
    with ZipFile(backup) as file:
        manifest = json.loads(file.read("manifest.json"))
    rewrite(backup, "manifest.json", json.dumps(manifest | {"revision": "9999"}).encode())

    result = here.call("restore", backup)

    assert result.exit_code == 2
    assert "a newer cw-mqtt" in result.stderr


def test_what_cannot_be_put_into_the_database_changes_nothing(
    here: Installation, backup: Path
) -> None:
    before = contents(here.home)
    here.home.journal.close()
    with ZipFile(backup) as file:
        manifest = json.loads(file.read("manifest.json"))
    manifest["tables"]["sensors"]["rows"] = 0
    rewrite(backup, "manifest.json", json.dumps(manifest).encode())
    rewrite(backup, "sensors.jsonl", b"")  # whose measures are these?

    result = here.call("restore", backup, "--replace")

    assert result.exit_code == 2
    assert "refuses a row" in result.stderr
    assert contents(here.home) == before


@pytest.mark.parametrize("arguments", [(), ("backup.zip", "--empty")])
def test_either_a_file_or_nothing_is_restored(
    here: Installation, arguments: tuple[str, ...]
) -> None:
    assert here.call("restore", *arguments).exit_code == 2
