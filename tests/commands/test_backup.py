"""`cw-mqtt backup` on both databases; what is in it, `test_restore.py` shows."""

import sqlite3

from sqlalchemy import BigInteger, Double, Integer, String, Text

from cw_mqtt.store.tables import metadata
from tests.commands.installation import Installation


def test_a_backup_can_be_read_by_its_owner_alone(here: Installation) -> None:
    backup = here.folder / "backup.zip"

    here.call("backup", backup)

    assert backup.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in here.folder.glob("backup*")] == ["backup.zip"]


def test_a_damaged_journal_makes_no_backup(here: Installation) -> None:
    here.home.store()
    here.home.journal.close()
    with sqlite3.connect(here.home.folder / "journal.sqlite") as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET rootpage = 3 WHERE name = 'retained'")

    result = here.call("backup", here.folder / "backup.zip")

    assert result.exit_code == 1
    assert "is damaged" in result.stderr
    assert not list(here.folder.glob("backup*"))


def test_every_column_is_of_a_kind_that_json_holds() -> None:
    kinds = {type(column.type) for table in metadata.sorted_tables for column in table.columns}

    assert kinds <= {Integer, BigInteger, Double, String, Text}
