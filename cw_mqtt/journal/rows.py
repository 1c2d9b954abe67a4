"""Readings and states in the form in which the journal's file, or a copy of it, holds them."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cw_mqtt.model import Kept, Reading, SensorState

log = logging.getLogger(__name__)

COLUMNS = tuple(field.name for field in fields(Reading))
ADD_READING = f"INSERT INTO readings VALUES ({'?, ' * len(COLUMNS)}?, ?, ?)"  # noqa: S608 - only marks

STATE = TypeAdapter(SensorState)
KEPT = TypeAdapter(Kept)
READING = TypeAdapter(Reading)


@dataclass(frozen=True, slots=True)
class Entry:
    """A reading with its sequence number in the journal (from 1, without end).

    One that has `was_ts` was entered before, with that time.
    """

    seq: int
    reading: Reading
    was_ts: int | None = None


def row_of(entry: Entry, heard: bytes = b"") -> tuple[Any, ...]:
    """An entry as a row, with the payloads that were heard meanwhile."""
    values = (getattr(entry.reading, name) for name in COLUMNS)
    return (entry.seq, *values, entry.was_ts, heard)


def entry_of(row: Sequence[Any]) -> Entry:
    """The entry of a row. Raises `ValidationError` for one that makes no sense."""
    seq, *values, was_ts, _heard = row
    reading = READING.validate_python(dict(zip(COLUMNS, values, strict=True)))
    return Entry(seq, reading, was_ts)


def state_text(state: SensorState) -> str:
    """A state as JSON; what it has by default is left out, so that it fits in a page."""
    return STATE.dump_json(state, exclude_defaults=True).decode()


def read_state(name: str, text: str) -> SensorState | None:
    """A state from its JSON; None for one that makes no sense."""
    with suppress(ValidationError):
        return STATE.validate_json(text)
    log.error("the state of %s that was kept is damaged; it begins anew", name)
    return None


def kept_text(kept: Kept) -> str:
    """What is kept under a key as JSON."""
    return KEPT.dump_json(kept, exclude_defaults=True).decode()


def read_kept(text: str) -> Kept:
    """What is kept under a key from its JSON; nothing, where that makes no sense."""
    with suppress(ValidationError):
        return KEPT.validate_json(text)
    return Kept()
