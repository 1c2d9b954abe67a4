"""Import: measures from files of CSV or JSON lines; what is there already is not added again."""

import csv
import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection, Engine

from cw_mqtt.commands.common import AS_JSON, FAILED, open_database, shares_of, show_progress
from cw_mqtt.config.settings import Settings
from cw_mqtt.errors import UsageError
from cw_mqtt.measure.periods import instant_of
from cw_mqtt.measure.tariff import Contract
from cw_mqtt.store.archive import LATEST_TS
from cw_mqtt.store.bulk import add_missing
from cw_mqtt.store.engine import filling, transaction
from cw_mqtt.store.history import sensor_ids
from cw_mqtt.store.opening import prepare_database
from cw_mqtt.store.rollups import lock
from cw_mqtt.web.endpoints import MOST_W

LINES_AT_ONCE = 5000
MOST_TOLD = 20

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
NIGHT = {"1", "true", "t", "night"}
DAY = {"0", "false", "f", "day"}

Cells = dict[str, str]
Reader = Callable[[str], Cells]


@click.command("import")
@click.argument("source", type=click.File("rb"), metavar="FILE")
@click.option("--sensor", help="Whose measures these are; by default each line says it.")
@click.option("--format", "form", type=click.Choice(["auto", "csv", "jsonl"]), default="auto")
@click.option("--dry-run", is_flag=True, help="Only say what would become of each line.")
@AS_JSON
@click.pass_obj
def import_command(
    config: Path | None,
    source: Any,
    sensor: str | None,
    form: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Add the measures in FILE (- is the terminal) that are not there yet.

    Read are exports, tables of the old base as psql copies them, and any CSV or JSON lines with
    times and watts; docs/operations.md says which. Nothing is added twice: an import that was
    broken off is started again. The bridge may run meanwhile. Exit code 1: lines were refused.
    """

    settings, engine = open_database(config)
    report = Report()
    lines = Source(source, form, sensor)
    size_bytes = os.fstat(source.fileno()).st_size
    done = import_lines(engine, settings, lines, report, time.time(), dry=dry_run)
    show_progress("Importing", shares_of(size_bytes, done), hidden=as_json)
    told = {**asdict(report), "dry_run": dry_run}
    click.echo(json.dumps(told) if as_json else report.text())
    if report.refused:
        sys.exit(FAILED)


@dataclass(frozen=True, slots=True)
class Found:
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
        if len(self.reasons) < MOST_TOLD:
            self.reasons.append((line, reason))

    def text(self) -> str:
        """In words."""
        lines = [f"line {line} refused: {reason}" for line, reason in self.reasons]
        if self.refused > len(lines):
            lines.append(f"... and {self.refused - len(lines):,} more lines")
        counts = f"{self.added:,} added, {self.already_there:,} already there"
        return "\n".join([*lines, f"{counts}, {self.refused:,} refused."])


@dataclass(frozen=True, slots=True)
class Source:
    """A file: its lines, its form (`auto`, `csv`, `jsonl`), and whose measures they are.

    Without a `sensor` (slug, name or number) each line names its own.
    """

    lines: Iterable[bytes]
    form: str = "auto"
    sensor: str | None = None


def import_lines(
    engine: Engine, settings: Settings, source: Source, report: Report, now_ts: float, *, dry: bool
) -> Iterator[int]:
    """Add what is good, some thousand lines at a time; yields how many bytes are done.

    A `dry` run changes nothing. An import that was broken off is to be started again.
    Raises `UsageError` when the file or the sensor cannot be used.
    """
    prepare_database(engine, settings, now_ts)
    with transaction(engine) as connection:
        parser = Parser(settings, sensor_ids(connection), source)
    for size, found in chunks(parser, source.lines, report):
        with filling(engine) as connection:
            store(connection, found, report, settings.energy.max_gap_s)
            if dry:
                connection.rollback()
        yield size


def chunks(
    parser: "Parser", lines: Iterable[bytes], report: Report
) -> Iterator[tuple[int, list[Found]]]:
    """The measures of so many lines, and how many bytes these lines have."""
    numbered = enumerate(lines, 1)
    while some := list(islice(numbered, LINES_AT_ONCE)):
        found = []
        for number, line in some:
            try:
                measure = parser.measure(number, line.decode("utf-8-sig", "replace").strip())
            except ValueError as error:
                report.refuse(number, str(error))
            else:
                found += [measure] if measure else []
        yield sum(len(line) for _, line in some), found


def store(connection: Connection, found: Iterable[Found], report: Report, max_gap_s: int) -> None:
    """Add the measures that are not there yet."""
    by_sensor: dict[int, list[Found]] = {}
    for each in found:
        by_sensor.setdefault(each.sensor_id, []).append(each)
    for sensor_id in sorted(by_sensor):  # everybody locks them in this order
        (mark,) = lock(connection, [sensor_id], max_gap_s)
        points = {}
        for each in by_sensor[sensor_id]:
            if each.ts < mark.thinned_ts:
                report.refuse(each.line, "keep_measures has let go of the measures of that day")
            else:
                points[each.ts, each.power_w] = each.night
                report.already_there += 1
        added = add_missing(connection, sensor_id, points, max_gap_s)
        report.added += added
        report.already_there -= added


class Parser:
    """Reads lines; the first one says what columns there are."""

    def __init__(self, settings: Settings, known: dict[str, int], source: Source) -> None:
        self._settings = settings
        self._contract = Contract(settings)
        self._known = known
        self._form = source.form
        self._sensor = source.sensor
        self._only: str | None = None
        self._read: Reader | None = None
        if source.sensor is not None and source.sensor not in known:
            raise UsageError(f"no sensor {source.sensor!r} here; there is {', '.join(known)}")

    def measure(self, line: int, text: str) -> Found | None:
        """The measure in a line; None where none is meant. Raises `ValueError` in words."""
        if not text:
            return None
        if self._read is None:
            self._read, has_names = self._reader(text)
            if has_names:
                return None
        cells = self._read(text)
        ts = read_time(cells.get("time", ""), self._settings)
        power_w = read_power(cells.get("watts", ""))
        night = read_night(cells.get("night", ""))
        if night is None:
            night = self._contract.is_night(ts)
        return Found(line, self._sensor_id(cells), ts, power_w, night)

    def _reader(self, first: str) -> tuple[Reader, bool]:
        """How lines are read, and whether this first one has the names of columns."""
        if self._form == "jsonl" or (self._form == "auto" and first.startswith("{")):
            self._need_sensor(set(json_cells(first)))
            return json_cells, False
        delimiter = max(",;\t", key=first.count)
        names = [KNOWN.get(name.strip().lower(), "") for name in split(first, delimiter)]
        has_names = {"time", "watts"} <= set(names)
        columns = names if has_names else UNNAMED.get(len(names), ())
        if not has_names and not (columns and re.search(r"\d", first)):
            raise UsageError(
                "the first line names no time and power; expected columns such as "
                f"sensor,time,watts,night, got {first[:60]!r}"
            )
        self._need_sensor(set(columns))
        return lambda text: csv_cells(text, delimiter, columns), has_names

    def _need_sensor(self, columns: set[str]) -> None:
        """Where no line says whose it is, it is of the one sensor that there is."""
        if self._sensor is None and "sensor" not in columns:
            slugs = [sensor.slug for sensor in self._settings.sensors]
            if len(slugs) > 1:
                raise UsageError(f"whose measures are these? Say --sensor {'|'.join(slugs)}")
            self._sensor = slugs[0]

    def _sensor_id(self, cells: Cells) -> int:
        """Whose measure it is."""
        named = cells.get("sensor", "")
        if self._sensor is None:
            if named not in self._known:
                raise ValueError(f"no sensor {named[:40]!r} here; --sensor says whose they are")
            return self._known[named]
        if self._only is None:
            self._only = named
        if named != self._only:
            raise ValueError(f"of sensor {named[:40]!r}, and the lines before are not")
        return self._known[self._sensor]


def split(text: str, delimiter: str) -> list[str]:
    """The cells of one line of CSV."""
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error as error:
        raise ValueError(f"no line of CSV: {error}") from error


def csv_cells(text: str, delimiter: str, columns: Iterable[str]) -> Cells:
    """The cells of one line by column; where commas do not part them, they are decimal commas."""
    cells = dict(zip(columns, (cell.strip() for cell in split(text, delimiter)), strict=False))
    if delimiter != "," and "watts" in cells:
        cells["watts"] = cells["watts"].replace(",", ".")
    return cells


def json_cells(text: str) -> Cells:
    """The same of a JSON object."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise ValueError("no JSON object")
    return {
        KNOWN[name]: "" if cell is None else str(cell)
        for name, cell in row.items()
        if name in KNOWN
    }


def read_time(text: str, settings: Settings) -> int:
    """Seconds since the epoch, or ISO 8601."""
    if re.fullmatch(r"-?\d{1,15}(\.\d*)?", text, re.ASCII):
        ts = math.floor(float(text))
    else:
        ts = instant_of(text, settings.timezone)
    if not 0 <= ts <= LATEST_TS:
        raise ValueError(f"{text} is not from 1970 to 9999 (in seconds)")
    return ts


def read_power(text: str) -> float:
    """Watts."""
    try:
        power_w = float(text)
    except ValueError:
        raise ValueError(f"expected a number of watts, got {text[:40]!r}") from None
    if not abs(power_w) <= MOST_W:  # nor what is no number
        raise ValueError(f"{text[:40]} W is more than can be kept")
    return power_w


def read_night(text: str) -> bool | None:
    """Whether it is night; None where that is not said."""
    text = text.lower()
    if text in NOTHING:
        return None
    if text not in NIGHT | DAY:
        raise ValueError(f"night: expected 0 or 1, got {text[:40]!r}")
    return text in NIGHT
