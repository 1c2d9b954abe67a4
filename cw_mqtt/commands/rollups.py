"""`cw-mqtt rollups`: the sums of long ranges, compared with the measures or computed anew."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection, Engine, select

from cw_mqtt.commands.common import AS_JSON, MOST_SHOWN, open_database, show_progress
from cw_mqtt.config.values import DAY_S
from cw_mqtt.errors import BridgeError
from cw_mqtt.model import iso_utc
from cw_mqtt.store import tables
from cw_mqtt.store.measures import int64
from cw_mqtt.store.rollups import (
    ALL,
    BUILD_STEP_S,
    OF_ONE,
    SPANS_S,
    bounds_of,
    build,
    cells_of,
    forget,
    lock,
    next_ts,
    walk,
)

Cell = tuple[int, int, int]  # sensor id, span in s, start

EACH = OF_ONE.each
STORED = {s: select(tables.rollups).where(OF_ONE.cells_between(s, s)) for s in SPANS_S}
COMPUTED = {  # all from the measures, and not from each other
    s: cells_of(s, EACH.timestamp, EACH, EACH.timestamp >= int64(f"first_{s}")) for s in SPANS_S
}


@click.group("rollups")
def rollups() -> None:
    """The sums by quarter hour, hour and day from which long ranges are answered.

    They follow every change of the measures by themselves. Both commands may be used while the
    bridge runs.
    """


@rollups.command("check")
@AS_JSON
@click.pass_obj
def rollups_check(config: Path | None, *, as_json: bool) -> None:
    """Compare all sums with the measures. Exit code 1: some are wrong."""
    settings, engine = open_database(config)
    wrong: list[Cell] = []
    shares = check_rollups(engine, settings.energy.max_gap_s, wrong)
    show_progress("Comparing", shares, hidden=as_json)
    if as_json:
        names = ("sensor_id", "seconds", "start_ts")
        click.echo(json.dumps([dict(zip(names, found, strict=True)) for found in wrong]))
    for sensor_id, span_s, start_ts in () if as_json else wrong[:MOST_SHOWN]:
        click.echo(f"sensor {sensor_id}: wrong from {iso_utc(start_ts)} for {span_s} s")
    if wrong:
        raise BridgeError(f"wrong sums: {len(wrong)}; cw-mqtt rollups rebuild repairs them")
    click.echo("All sums are right.", err=as_json)


@rollups.command("rebuild")
@click.pass_obj
def rollups_rebuild(config: Path | None) -> None:
    """Recompute all sums from the measures.

    It goes on where it was if it is interrupted; the bridge does so too when it starts. Until it
    is done, long ranges are added up from the measures, which takes longer.
    """
    settings, engine = open_database(config)
    forget(engine)
    show_progress("Adding up", build(engine, settings.energy.max_gap_s))
    click.echo("All sums are computed.")


def check_rollups(engine: Engine, max_gap_s: int, wrong: list[Cell]) -> Iterator[float]:
    """Compare all cells with what would be computed now; adds to `wrong`, yields the share done."""

    def step(connection: Connection, sensor_id: int, from_ts: int) -> int:
        (found,) = lock(connection, [sensor_id], max_gap_s)
        from_ts = max(from_ts, found.thinned_ts)
        first_ts = next_ts(connection, sensor_id, from_ts)
        until_ts = ALL if first_ts is None else first_ts - first_ts % DAY_S + BUILD_STEP_S
        bounds = {"sensor_id": sensor_id, **bounds_of(from_ts, until_ts, max_gap_s)}
        in_cells = bounds | {"until_ts": min(until_ts, found.built_ts)}
        for span_s in SPANS_S:
            computed = _cells(connection, COMPUTED[span_s], in_cells)
            stored = _cells(connection, STORED[span_s], bounds)
            wrong.extend(
                (sensor_id, span_s, start_ts)
                for start_ts in sorted(stored.keys() | computed.keys())
                if not _is_same(stored.get(start_ts), computed.get(start_ts))
            )
        return until_ts

    return walk(engine, step)


def _cells(connection: Connection, statement: Any, bounds: dict[str, Any]) -> dict[int, Any]:
    return {row[2]: row[3:] for row in connection.execute(statement, bounds)}


def _is_same(one: Any, other: Any) -> bool:
    """Whether two cells say the same, but for the order in which was added up."""
    if one is None or other is None:
        return False
    pairs = zip(one, other, strict=True)
    return all(math.isclose(*pair, rel_tol=1e-9, abs_tol=1e-6) for pair in pairs)
