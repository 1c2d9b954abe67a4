"""`cw-mqtt export`: measures, or what they add up to by period, as CSV."""

import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import click
from sqlalchemy import Connection, Engine

from cw_mqtt.commands.common import open_database, written_whole
from cw_mqtt.config.settings import Settings
from cw_mqtt.errors import UsageError
from cw_mqtt.measure.periods import LAST_TS, STEPS, instant_of, period_edges, period_start
from cw_mqtt.measure.tariff import Contract
from cw_mqtt.model import iso_utc
from cw_mqtt.records import COST_COLUMNS, PERIOD_COLUMNS, period_row
from cw_mqtt.store.engine import snapshot
from cw_mqtt.store.history import sensor_ids, stream, times, totals_between
from cw_mqtt.store.measures import UNKNOWN

MEASURE = ("sensor", "time", "watts", "night")

Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be exported: from when until when, and how.

    `step` is one of `STEPS`; without it measures are exported. Without a bound everything is.
    """

    from_ts: int | None
    until_ts: int | None
    step: str | None
    utc: bool


@click.command("export")
@click.argument("sensors", nargs=-1, metavar="[SENSOR]...")
@click.option("--from", "since", metavar="TIME", help="The first instant, as 2025-01-01.")
@click.option("--until", metavar="TIME", help="Up to but not including this instant.")
@click.option("--step", type=click.Choice(list(STEPS)), help="Energy and cost by period instead.")
@click.option("--utc", is_flag=True, help="Times in UTC, not in the settings' timezone.")
@click.option("--output", type=click.Path(path_type=Path), help="A file; by default the terminal.")
@click.pass_obj
def export_command(
    config: Path | None,
    /,
    sensors: tuple[str, ...],
    since: str | None,
    until: str | None,
    step: str | None,
    *,
    utc: bool,
    output: Path | None,
) -> None:
    """Write measures, or what they add up to, as CSV.

    SENSOR is a slug, a name or a number; without one all are written. `cw-mqtt import` reads
    measures back. With --step: energy, mean, lowest and highest power of each period of the
    local calendar, and its cost by the contract that was valid then.

    cw-mqtt export main --from 2025-01-01 --until 2026-01-01 --step 1month
    """
    settings, engine = open_database(config)
    from_ts, until_ts = (_parse_instant(text, settings) for text in (since, until))
    wanted = Wanted(from_ts, until_ts, step, utc)
    if output is None:
        export(engine, settings, sensors, wanted, sys.stdout)
        return
    with written_whole(output) as part, part.open("w", encoding="utf-8", newline="") as file:
        count = export(engine, settings, sensors, wanted, file)
    click.echo(f"{count:,} rows written to {output}.", err=True)


def export(
    engine: Engine, settings: Settings, names: Iterable[str], wanted: Wanted, output: TextIO
) -> int:
    """Write what is wanted of these sensors, of all if none is named; how many rows there were.

    Raises `UsageError` for an unknown sensor, `ResourceAwayError` while sums are computed anew.
    """
    with snapshot(engine) as connection:
        exporter = Exporter(connection, settings, wanted)
        writer = csv.writer(output, lineterminator="\n")
        writer.writerow(exporter.columns)
        count = 0
        for sensor_id, name in _chosen_sensors(sensor_ids(connection), names).items():
            for row in exporter.rows(sensor_id, name):
                writer.writerow(row)
                count += 1
        return count


class Exporter:
    """Makes the rows of an export, a few at a time."""

    def __init__(self, connection: Connection, settings: Settings, wanted: Wanted) -> None:
        self._connection = connection
        self._settings = settings
        self._zone = settings.timezone
        self._wanted = wanted
        self._contract = Contract(settings)
        self._time: Callable[[int], str] = iso_utc if wanted.utc else self._local_time

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what is in a row."""
        if not self._wanted.step:
            return MEASURE
        costs = COST_COLUMNS if self._contract.currency else ()
        return (*PERIOD_COLUMNS, *costs)

    def rows(self, sensor_id: int, name: str) -> Iterator[Row]:
        """The rows of one sensor in order of time."""
        found = times(self._connection, sensor_id)
        if found is None:
            return
        from_ts, until_ts = self._wanted.from_ts, self._wanted.until_ts
        until_ts = min(found[1] + 1 if until_ts is None else until_ts, LAST_TS)
        if self._wanted.step is None:
            yield from self._measures(sensor_id, name, from_ts or 0, until_ts)
            return
        step = STEPS[self._wanted.step]
        from_ts = period_start(found[0], step, self._zone) if from_ts is None else from_ts
        if from_ts < until_ts:
            edges = period_edges(from_ts, until_ts, step, self._zone)
            yield from self._periods(sensor_id, name, edges)

    def _measures(self, sensor_id: int, name: str, from_ts: int, until_ts: int) -> Iterator[Row]:
        for measure in stream(self._connection, sensor_id, from_ts, until_ts):
            night = None if measure.night_rate == UNKNOWN else measure.night_rate
            yield name, self._time(measure.timestamp), measure.value_w, night

    def _periods(self, sensor_id: int, name: str, edges: Iterable[int]) -> Iterator[Row]:
        max_gap_s = self._settings.energy.max_gap_s
        asked = self._connection, self._contract, sensor_id, edges, max_gap_s
        for total in totals_between(*asked):
            yield period_row(name, total, self._time, self._contract.currency)

    def _local_time(self, ts: int) -> str:
        return datetime.fromtimestamp(ts, self._zone).isoformat()


def _chosen_sensors(known: dict[str, int], names: Iterable[str]) -> dict[int, str]:
    """The slug (or else the name, or the number) of each sensor."""
    labels = {sensor_id: name for name, sensor_id in known.items()}
    for name in names:
        if name not in known:
            raise UsageError(f"no sensor {name!r} here; there is {', '.join(labels.values())}")
    chosen = [known[name] for name in names] or sorted(labels)
    return {sensor_id: labels[sensor_id] for sensor_id in chosen}


def _parse_instant(text: str | None, settings: Settings) -> int | None:
    try:
        return instant_of(text, settings.timezone) if text else None
    except ValueError as error:
        raise UsageError(str(error)) from error
