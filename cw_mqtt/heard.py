"""Everything ever heard, in bounded memory: a Bloom filter in the journal.

A payload is ciphertext, so its own bits serve as the hashes: 4 bytes choose a block, the other
12 give eight bit numbers in it. A filter takes two million payloads, half a sensor's year, in
10 MB; then the next one begins, and of many the oldest is forgotten. A payload that was never
heard is taken for a known one once in a million times for each full filter; that costs an honest
sensor one packet.
"""

import sqlite3
from collections.abc import Iterable

BLOCKS = 20_480
BLOCK_BYTES = 512
BITS_A_PAYLOAD = 8
BIT_NUMBER_SIZE = 12  # a block has 2^12 bits
PAYLOADS_A_FILTER = 2_000_000
MOST_FILTERS = 40

SCHEMA = """
CREATE TABLE heard (filter INTEGER, block INTEGER, bits BLOB NOT NULL, PRIMARY KEY (filter, block))
    WITHOUT ROWID;
CREATE TABLE filters (filter INTEGER PRIMARY KEY, payloads INTEGER NOT NULL);
INSERT INTO filters VALUES (1, 0);
"""


def place(payload: bytes) -> tuple[int, int]:
    """The block that a payload falls into, and the mask of its bits there."""
    block = int.from_bytes(payload[:4]) % BLOCKS
    rest = int.from_bytes(payload[4:])
    mask = 0
    for number in range(BITS_A_PAYLOAD):
        mask |= 1 << (rest >> number * BIT_NUMBER_SIZE & (1 << BIT_NUMBER_SIZE) - 1)
    return block, mask


def was_heard(connection: sqlite3.Connection, payload: bytes) -> bool:
    """Whether a payload of 16 bytes was remembered, or looks as if."""
    block, mask = place(payload)
    rows = connection.execute(
        "SELECT bits FROM filters CROSS JOIN heard USING (filter) WHERE block = ?", (block,)
    )
    return any(int.from_bytes(bits) & mask == mask for (bits,) in rows)


def remember(connection: sqlite3.Connection, payloads: Iterable[bytes]) -> None:
    """Remember payloads, inside the transaction that commits what they changed."""
    masks: dict[int, int] = {}
    count = 0
    for payload in payloads:
        block, mask = place(payload)
        masks[block] = masks.get(block, 0) | mask
        count += 1
    if not count:
        return
    number = current_filter(connection)
    for block, mask in masks.items():
        row = connection.execute(
            "SELECT bits FROM heard WHERE filter = ? AND block = ?", (number, block)
        ).fetchone()
        bits = (int.from_bytes(row[0]) if row else 0) | mask
        connection.execute(
            "INSERT OR REPLACE INTO heard VALUES (?, ?, ?)",
            (number, block, bits.to_bytes(BLOCK_BYTES)),
        )
    connection.execute(
        "UPDATE filters SET payloads = payloads + ? WHERE filter = ?", (count, number)
    )


def current_filter(connection: sqlite3.Connection) -> int:
    """The filter that takes payloads now; a new one when the last is full."""
    number, payloads = connection.execute(
        "SELECT filter, payloads FROM filters ORDER BY filter DESC LIMIT 1"
    ).fetchone()
    if payloads < PAYLOADS_A_FILTER:
        return int(number)
    connection.execute("INSERT INTO filters VALUES (?, 0)", (number + 1,))
    oldest = number + 1 - MOST_FILTERS
    connection.execute("DELETE FROM heard WHERE filter <= ?", (oldest,))
    connection.execute("DELETE FROM filters WHERE filter <= ?", (oldest,))
    return int(number) + 1
