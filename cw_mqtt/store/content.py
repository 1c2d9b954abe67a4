"""Whether two tables have the same rows, in whatever order a database gives them."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, Table, func, select

CHECKSUM_BITS = 256


@dataclass(frozen=True, slots=True)
class Content:
    """How many rows there are, and the sum of their SHA-256: the same rows, the same sum."""

    rows: int = 0
    sum: int = 0

    def with_rows(self, rows: Collection[bytes]) -> "Content":
        """With more rows, each as bytes that no other row has."""
        added = sum(int.from_bytes(hashlib.sha256(row).digest()) for row in rows)
        return Content(self.rows + len(rows), (self.sum + added) % 2**CHECKSUM_BITS)

    @property
    def checksum(self) -> str:
        """The sum in hex digits."""
        return f"{self.sum:0{CHECKSUM_BITS // 4}x}"


def count_rows(connection: Connection, table: Table) -> int:
    """How many rows a table has."""
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())
