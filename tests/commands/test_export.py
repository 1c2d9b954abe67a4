"""`cw-mqtt export` on both databases."""

from datetime import datetime
from pathlib import Path

import pytest

from cw_mqtt.commands.export import MEASURE
from cw_mqtt.records import COST_COLUMNS, PERIOD_COLUMNS
from tests.commands.installation import Installation
from tests.home import START_TS, reading

FIRST = "2026-09-21T16:13:20+02:00"  # START_TS
DAY_S = 86400
DOCUMENTATION = (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")


def rows(text: str) -> list[list[str]]:
    return [line.split(",") for line in text.splitlines()]


def named(text: str) -> list[dict[str, str]]:
    header, *others = rows(text)
    return [dict(zip(header, row, strict=True)) for row in others]


def test_measures_are_written_with_local_times(here: Installation) -> None:
    here.home.hear(reading(0), reading(8, power_w=0.1, night=True))
    here.home.store()

    result = here.call("export")

    assert result.exit_code == 0
    assert rows(result.stdout) == [
        ["sensor", "time", "watts", "night"],
        ["main", FIRST, "500.5", "0"],
        ["main", "2026-09-21T16:13:28+02:00", "0.1", "1"],
    ]


def test_a_tariff_that_the_old_base_did_not_know_is_empty(here: Installation) -> None:
    here.home.store()
    here.home.tell(f"INSERT INTO measures (sensor_id, value, timestamp) VALUES (1, 1, {START_TS})")

    assert named(here.call("export").stdout)[0]["night"] == ""


def test_a_range_holds_its_start_and_not_its_end(here: Installation) -> None:
    here.home.hear(*(reading(ts) for ts in (0, 8, 16, 24)))
    here.home.store()
    bounds = ["--from", "2026-09-21T16:13:28", "--until", "2026-09-21T14:13:44Z"]

    times = [row["time"] for row in named(here.call("export", *bounds, "--utc").stdout)]

    assert times == ["2026-09-21T14:13:28Z", "2026-09-21T14:13:36Z"]


def test_more_measures_than_are_read_at_once_are_all_written(here: Installation) -> None:
    here.home.store()
    file = here.write("timestamp,watts", *(f"{START_TS + 8 * n},{n}" for n in range(5001)))
    here.call("import", file)
    output = here.folder / "out.csv"

    result = here.call("export", "--output", output)

    assert "5,001 rows" in result.stderr
    assert [row["watts"] for row in named(output.read_text())] == [f"{n}.0" for n in range(5001)]


@pytest.mark.parametrize(
    ("step", "periods"),
    [("15m", 100), ("1h", 25), ("1d", 1), ("1w", 1), ("1month", 1), ("1y", 1)],
)
def test_periods_add_up_to_the_whole_on_a_day_of_25_hours(
    here: Installation, step: str, periods: int
) -> None:
    start_ts = 1_792_879_200  # 2026-10-25 in Paris
    here.write("timestamp,watts", *(f"{start_ts + 300 * n},1200" for n in range(301)))
    here.call("import", here.folder / "file")
    bounds = ["--from", "2026-10-25", "--until", "2026-10-26"]

    found = named(here.call("export", "--step", step, *bounds).stdout)

    assert len(found) == periods
    assert sum(float(row["kwh"]) for row in found) == pytest.approx(1.2 * (25 - 300 / 3600))
    assert sum(int(row["measured_s"]) for row in found) == 25 * 3600 - 300
    assert found[0]["from"] == "2026-10-25T00:00:00+02:00"
    assert found[-1]["until"] == "2026-10-26T00:00:00+01:00"


def test_a_period_without_a_measure_is_empty_and_there(here: Installation) -> None:
    here.home.hear(reading(0), reading(8), reading(2 * DAY_S))
    here.home.store()

    first, empty, _last = named(here.call("export", "--step", "1d").stdout)

    assert first["mean_w"] == "500.5"
    assert (empty["kwh"], empty["mean_w"], empty["measured_s"]) == ("", "", "0")


def test_without_a_contract_there_is_no_cost(here: Installation) -> None:
    here.home.hear(reading(0))
    here.home.store()

    assert "cost" not in named(here.call("export", "--step", "1d").stdout)[0]


def test_a_month_in_which_prices_change_costs_the_sum_of_its_parts(here: Installation) -> None:
    lines = [
        {"name": "HP/HC", "day": {"eur_per_kwh": 0.2, "eur_per_month": 30}},
        {"name": "HP/HC", "from": "2026-09-16", "day": {"eur_per_kwh": 0.5, "eur_per_month": 60}},
    ]
    here.configure(providers=lines)
    here.write("timestamp,watts", *(f"{1_789_509_600 + 300 * n},1000" for n in range(-48, 48)))
    here.call("import", here.folder / "file")  # four hours before and after the 16th
    bounds = ["--from", "2026-09-01", "--until", "2026-10-01"]

    (month,) = named(here.call("export", "--step", "1month", *bounds).stdout)

    before_kwh, after_kwh = 47 * 300 / 3600, 48 * 300 / 3600
    assert month["currency"] == "EUR"
    assert float(month["cost"]) == pytest.approx(before_kwh * 0.2 + after_kwh * 0.5 + 15 + 30)


def test_only_the_sensors_asked_for_are_written(here: Installation) -> None:
    here.home.name_sensors({"main": "CitizenWatt", "garage": "Garage"})
    here.home.hear(reading(0), reading(0, "garage"))
    here.home.store()

    by_name = named(here.call("export", "Garage").stdout)

    assert [row["sensor"] for row in by_name] == ["garage"]
    assert len(named(here.call("export").stdout)) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cellar"], "no sensor 'cellar' here; there is main"),
        (["--from", "2026-03-29T02:30"], "is never the time in Europe/Paris"),
        (["--until", "soon"], "expected a time such as"),
        (["--step", "2h"], "'2h' is not one of"),
        (["--output", "/nowhere/x.csv"], "cannot write /nowhere/x.csv"),
    ],
)
def test_what_cannot_be_exported_is_said(
    here: Installation, arguments: list[str], said: str
) -> None:
    here.home.store()

    result = here.call("export", *arguments)

    assert result.exit_code == 2
    assert said in result.stderr


def test_an_export_that_failed_leaves_the_file_that_was_there(here: Installation) -> None:
    here.home.store()
    output = here.write("yesterday's")

    result = here.call("export", "cellar", "--output", output)

    assert result.exit_code == 2
    assert output.read_text() == "yesterday's\n"
    assert [path.name for path in here.folder.glob("file*")] == ["file"]


@pytest.mark.parametrize("columns", [MEASURE, (*PERIOD_COLUMNS, *COST_COLUMNS)])
def test_the_documentation_shows_the_columns_that_are_written(columns: tuple[str, ...]) -> None:
    assert f"    {','.join(columns)}\n" in DOCUMENTATION


def hour_at_a_kilowatt(at: str) -> list[str]:
    """The lines of measures of an hour in Paris."""
    start_ts = int(datetime.fromisoformat(f"{at}+02:00").timestamp())
    return [f"{start_ts + 60 * n},1000" for n in range(61)]


def test_each_quarter_hour_of_many_tariffs_is_priced_by_the_clock(here: Installation) -> None:
    weekend = {"name": "weekend", "eur_per_kwh": 1.0, "days": ["weekend"]}
    lunch = {"name": "lunch", "eur_per_kwh": 10.0, "hours": ["12:00-14:00"]}
    tariffs = [weekend, lunch, {"name": "rest", "eur_per_kwh": 100.0}]
    here.configure(providers=[{"name": "six", "tariffs": tariffs}])
    on = ("2026-09-26T12:00", "2026-09-28T12:30", "2026-09-28T20:00")  # from a Saturday on
    here.write("timestamp,watts", *(line for at in on for line in hour_at_a_kilowatt(at)))
    here.call("import", here.folder / "file")

    bounds = ("--from", "2026-09-26", "--until", "2026-10-01")
    (month,) = named(here.call("export", "--step", "1month", *bounds).stdout)

    assert float(month["cost"]) == pytest.approx(1 + 10 + 100)


def test_a_period_without_any_measure_costs_nothing(here: Installation) -> None:
    price = {"eur_per_kwh": 0.2, "eur_per_month": 30}
    here.configure(providers=[{"name": "flat", "day": price}])
    here.write("timestamp,watts", *hour_at_a_kilowatt("2026-09-26T12:00"))
    here.call("import", here.folder / "file")

    bounds = ("--from", "2026-08-01", "--until", "2026-10-01")
    august, september = named(here.call("export", "--step", "1month", *bounds).stdout)

    assert (float(august["cost"]), float(september["cost"])) == (0, pytest.approx(30.2))
