"""`cw-mqtt import`: measures from CSV; what is there already is not added again."""

import csv
import json
import math
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple

import click
from sqlalchemy import Connection, Engine

from cw_mqtt.commands.common import (
    AS_JSON,
    FAILED,
    MOST_SHOWN,
    open_database,
    shares_of,
    show_progress,
)
from cw_mqtt.config.settings import Settings
from cw_mqtt.errors import UsageError
from cw_mqtt.measure.periods import instant_of
from cw_mqtt.measure.tariff import Contract
from cw_mqtt.store.engine import filling, transaction
from cw_mqtt.store.history import add_missing, sensor_ids
from cw_mqtt.store.opening import prepare_database
from cw_mqtt.store.rollups import lock
from cw_mqtt.store.web_queries import LATEST_TS
from cw_mqtt.web.endpoints import MOST_W

LINES_AT_ONCE = 5000

# what files call the columns that we know
COLUMNS = {
    "time": ("time", "timestamp", "date", "datetime", "ts"),
    "watts": ("watts", "watt", "w", "value", "power", "power_w"),
    "night": ("night", "night_rate"),
    "sensor": ("sensor", "sensor_id", "slug", "name"),
}
KNOWN = {name: column for column, names in COLUMNS.items() for name in names}
# without names the number of columns tells: five are the old base's table as psql copies it
UNNAMED = {
    2: ("time", "watts"),
    3: ("time", "watts", "night"),
    5: ("id", "sensor", "watts", "time", "night"),
}
NOTHING = {"", "\\n", "null", "-1"}  # -1 and \N: the old base knew no tariff
NIGHT_WORDS = {"1", "true", "t", "night"}
DAY_WORDS = {"0", "false", "f", "day"}


class Measure(NamedTuple):
    """A measure in line `line` of the file."""

    line: int
    sensor_id: int
    ts: int
    power_w: float
    night: bool


@dataclass(slots=True)
class Report:
    """What became of the lines; `reasons` has the first twenty that were refused."""

    added: int = 0
    already_there: int = 0
    refused: int = 0
    reasons: list[tuple[int, str]] = field(default_factory=list)

    def refuse(self, line: int, reason: str) -> None:
        """Count a refused line."""
        self.refused += 1
        if len(self.reasons) < MOST_SHOWN:
            self.reasons.append((line, reason))

    def text(self) -> str:
        """In words."""
        lines = [f"line {line} refused: {reason}" for line, reason in self.reasons]
        if self.refused > len(lines):
            lines.append(f"... and {self.refused - len(lines):,} more lines")
        counts = f"{self.added:,} added, {self.already_there:,} already there"
        return "\n".join([*lines, f"{counts}, {self.refused:,} refused."])


@click.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--sensor", help="Whose measures these are; by default each line says it.")
@click.option("--dry-run", is_flag=True, help="Only say what would become of each line.")
@AS_JSON
@click.pass_obj
def import_command(
    config: Path | None, file: IO[bytes], sensor: str | None, *, dry_run: bool, as_json: bool
) -> None:
    """Add the measures in FILE (- is the terminal) that are not there yet.

    Read are exports, tables of the old base as psql copies them, and any CSV with times and
    watts; docs/operations.md says which. Nothing is added twice: an import that was interrupted
    is started again. The bridge may run meanwhile. Exit code 1: lines were refused.
    """
    settings, engine = open_database(config)
    prepare_database(engine, settings, time.time())
    with transaction(engine) as connection:
        parser = Parser(settings, sensor_ids(connection), sensor)
    report = Report()
    size_bytes, max_gap_s = os.fstat(file.fileno()).st_size, settings.energy.max_gap_s
    done = import_lines(engine, parser, file, report, max_gap_s, dry=dry_run)
    show_progress("Importing", shares_of(size_bytes, done), hidden=as_json)
    result = {**asdict(report), "dry_run": dry_run}
    click.echo(json.dumps(result) if as_json else report.text())
    if report.refused:
        sys.exit(FAILED)


class Parser:
    """Reads lines of CSV; the first one says what columns there are.

    Without a `sensor` (slug, name or number) each line names its own. Raises `UsageError` when
    the sensor or the file cannot be used.
    """

    def __init__(self, settings: Settings, known: dict[str, int], sensor: str | None) -> None:
        self._settings = settings
        self._contract = Contract(settings)
        self._known = known
        self._sensor = sensor
        self._only: str | None = None
        self._delimiter = ","
        self._columns: Sequence[str] = ()
        if sensor is not None and sensor not in known:
            raise UsageError(f"no sensor {sensor!r} here; there is {', '.join(known)}")

    def measure(self, line: int, text: str) -> Measure | None:
        """The measure in a line; None where none is meant. Raises `ValueError` in words."""
        if not text or (not self._columns and self._takes_names(text)):
            return None
        values = (cell.strip() for cell in _split(text, self._delimiter))
        cells = dict(zip(self._columns, values, strict=False))
        ts = self._time(cells.get("time", ""))
        watts = cells.get("watts", "")
        # where commas do not part the cells, they are decimal commas
        power_w = _power_w(watts if self._delimiter == "," else watts.replace(",", "."))
        night = _night(cells.get("night", ""))
        if night is None:
            night = self._contract.is_night(ts)
        return Measure(line, self._sensor_id(cells.get("sensor", "")), ts, power_w, night)

    def _takes_names(self, first: str) -> bool:
        """Learn the columns from the first line; whether it has their names, and no measure."""
        self._delimiter = max(",;\t", key=first.count)
        names = [KNOWN.get(name.strip().lower(), "") for name in _split(first, self._delimiter)]
        has_names = {"time", "watts"} <= set(names)
        self._columns = names if has_names else UNNAMED.get(len(names), ())
        if not has_names and not (self._columns and re.search(r"\d", first)):
            raise UsageError(
                "the first line names no time and power; expected columns such as "
                f"sensor,time,watts,night, got {first[:60]!r}"
            )
        if self._sensor is None and "sensor" not in self._columns:
            slugs = [sensor.slug for sensor in self._settings.sensors]
            if len(slugs) > 1:
                raise UsageError(
                    f"the file does not name the sensor; add --sensor {'|'.join(slugs)}"
                )
            self._sensor = slugs[0]
        return has_names

    def _sensor_id(self, named: str) -> int:
        if self._sensor is None:
            if named not in self._known:
                raise ValueError(f"no sensor {named[:40]!r} here; name one with --sensor")
            return self._known[named]
        if self._only is None:
            self._only = named
        if named != self._only:
            raise ValueError(f"of sensor {named[:40]!r}, and the lines before are not")
        return self._known[self._sensor]

    def _time(self, text: str) -> int:
        """Seconds since the epoch, or ISO 8601."""
        if re.fullmatch(r"-?\d{1,15}(\.\d*)?", text, re.ASCII):
            ts = math.floor(float(text))
        else:
            ts = instant_of(text, self._settings.timezone)
        if not 0 <= ts <= LATEST_TS:
            raise ValueError(f"{text} is not from 1970 to 9999 (in seconds)")
        return ts


def import_lines(
    engine: Engine,
    parser: Parser,
    lines: Iterable[bytes],
    report: Report,
    max_gap_s: int,
    *,
    dry: bool,
) -> Iterator[int]:
    """Add what is good, some thousand lines at a time; yields how many bytes were read.

    A `dry` run changes nothing.
    """
    numbered = enumerate(lines, 1)
    while some := list(islice(numbered, LINES_AT_ONCE)):
        measures = list(_parsed(parser, some, report))
        with filling(engine) as connection:
            _store(connection, measures, report, max_gap_s)
            if dry:
                connection.rollback()
        yield sum(len(line) for _, line in some)


def _parsed(
    parser: Parser, lines: Iterable[tuple[int, bytes]], report: Report
) -> Iterator[Measure]:
    for number, line in lines:
        try:
            measure = parser.measure(number, line.decode("utf-8-sig", "replace").strip())
        except ValueError as error:
            report.refuse(number, str(error))
        else:
            if measure:
                yield measure


def _store(
    connection: Connection, measures: Iterable[Measure], report: Report, max_gap_s: int
) -> None:
    by_sensor: dict[int, list[Measure]] = {}
    for each in measures:
        by_sensor.setdefault(each.sensor_id, []).append(each)
    for sensor_id in sorted(by_sensor):  # everybody locks them in this order
        (mark,) = lock(connection, [sensor_id], max_gap_s)
        points = {}
        for each in by_sensor[sensor_id]:
            if each.ts < mark.thinned_ts:
                report.refuse(each.line, "older than keep_measures")
            else:
                points[each.ts, each.power_w] = each.night
                report.already_there += 1
        added = add_missing(connection, sensor_id, points, max_gap_s)
        report.added += added
        report.already_there -= added


def _split(text: str, delimiter: str) -> list[str]:
    """The cells of one line of CSV."""
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error as error:
        raise ValueError(f"not CSV: {error}") from error


def _power_w(text: str) -> float:
    try:
        power_w = float(text)
    except ValueError:
        raise ValueError(f"expected a number of watts, got {text[:40]!r}") from None
    if not abs(power_w) <= MOST_W:  # nor what is no number
        raise ValueError(f"{text[:40]} W is more than can be kept")
    return power_w


def _night(text: str) -> bool | None:
    """Whether it is night; None where that is not said."""
    text = text.lower()
    if text in NOTHING:
        return None
    if text not in NIGHT_WORDS | DAY_WORDS:
        raise ValueError(f"night: expected 0 or 1, got {text[:40]!r}")
    return text in NIGHT_WORDS
