"""`cw-mqtt import` on both databases."""

import subprocess
from pathlib import Path

import pytest

from tests.command import started
from tests.commands.installation import Installation
from tests.home import START_TS, reading
from tests.settings import NIGHT_CONTRACT, SENSOR
from tests.store.test_rollups import assert_right
from tests.waiting import DEADLINE_S, wait_until

TABLE = [f"7,1,500.5,{START_TS},0", f"8,1,600,{START_TS + 8},1"]
MEASURES = [(START_TS, 500.5, 0), (START_TS + 8, 600.0, 1)]


@pytest.mark.parametrize("times", [["--utc"], []])
def test_an_export_is_read_back_exactly(
    here: Installation, tmp_path: Path, times: list[str]
) -> None:
    here.home.hear(reading(0, power_w=1 / 3), reading(8, night=True), reading(8, power_w=-7.0))
    here.home.store()
    file = here.write(here.call("export", *times).stdout)
    there = Installation(tmp_path / "there", None)

    result = there.call("import", file)

    assert result.stdout == "3 added, 0 already there, 0 refused.\n"
    assert there.measures() == here.measures()
    assert_right(there.home)
    there.home.close()


def test_what_is_there_is_not_added_again(here: Installation) -> None:
    here.home.hear(reading(0), reading(8))
    here.home.store()
    file = here.write(here.call("export").stdout, f"main,{START_TS + 4},1000,0")

    once, again = here.told("import", file), here.told("import", file)

    assert (once["added"], once["already_there"]) == (1, 2)
    assert (again["added"], again["already_there"]) == (0, 3)
    assert len(here.measures()) == 3
    assert_right(here.home)


@pytest.mark.parametrize(
    "lines",
    [
        TABLE,
        ["id,sensor_id,value,timestamp,night_rate", *TABLE],
        [line.replace(",", "\t") for line in TABLE],
        [
            "\N{ZERO WIDTH NO-BREAK SPACE}time;watts;night",
            f"{START_TS};500,5;0",
            f"{START_TS + 8};600;1",
        ],
        [f"{START_TS},500.5,f", "", f"{START_TS + 8}.9,600,t"],
        ["Date,Power,Night", "2026-09-21 16:13:20,500.5,0", "2026-09-21T14:13:28Z,6e2,1"],
        ["night,sensor,ts,w", f"0,1,{START_TS},500.5", f"night,CitizenWatt,{START_TS + 8},600"],
    ],
)
def test_many_forms_mean_the_same(here: Installation, lines: list[str]) -> None:
    result = here.call("import", here.write(*lines))

    assert result.exit_code == 0
    assert here.measures() == MEASURES


def test_where_no_tariff_is_said_the_contract_says_it(here: Installation) -> None:
    here.configure(providers=[NIGHT_CONTRACT])

    here.call("import", here.write("2026-09-21T22:29,1", "2026-09-21T22:30,1"))

    assert [night for _, _, night in here.measures()] == [0, 1]


def test_bad_lines_are_refused_with_their_number_and_the_good_ones_added(
    here: Installation,
) -> None:
    lines = ["sensor,time,watts,night", f"main,{START_TS},1,0", "main,soon,1,0", "main"]
    others = ["main,1,nan,0", "main,1,2e9,0", "main,-1,1,0", "main,1e9,1,0", "main,1,1,dusk"]
    names = ["cellar,1,1,0", "main,253402300800,1,0", "main,1,,0"]

    result = here.call("import", here.write(*lines, *others, *names))

    assert result.exit_code == 1
    assert here.measures() == [(START_TS, 1.0, 0)]
    refused = result.stdout.splitlines()
    assert refused[0] == "line 3 refused: expected a time such as 2025-01-31T23:59:59, got 'soon'"
    assert [int(line.split()[1]) for line in refused[:-1]] == list(range(3, 13))
    assert refused[-1] == "1 added, 0 already there, 10 refused."


def test_of_many_refused_lines_the_first_are_told_and_all_counted(here: Installation) -> None:
    file = here.write("time,watts", *["soon,1"] * 25)

    result = here.call("import", file)
    told = here.told("import", file)

    assert "... and 5 more lines\n" in result.stdout
    assert (told["refused"], len(told["reasons"])) == (25, 20)


def test_a_dry_run_says_the_same_and_changes_nothing(here: Installation) -> None:
    here.home.hear(reading(0))
    here.home.store()
    file = here.write("time,watts", f"{START_TS},500.5", f"{START_TS + 8},1", "soon,1")

    dry = here.told("import", file, "--dry-run")

    assert (dry["added"], dry["already_there"], dry["refused"]) == (1, 1, 1)
    assert len(here.measures()) == 1
    assert here.told("import", file)["added"] == 1


def test_what_is_imported_is_a_correction_of_what_was_published(here: Installation) -> None:
    here.home.hear(reading(0), reading(8))
    here.home.store()

    here.call("import", here.write(f"{START_TS + 4},1500.5"))

    here.home.store()
    assert here.home.corrections_kwh() == 0.001
    assert_right(here.home)


def test_lines_in_any_order_give_right_sums(here: Installation) -> None:
    times = [START_TS + n * 7919 % 500 * 1000 for n in range(500)]
    file = here.write("time,watts", *(f"{ts},{ts % 1000}" for ts in times))

    told = here.told("import", file)

    assert told["added"] == 500
    assert_right(here.home)


def test_where_measures_were_thinned_out_none_is_added(here: Installation) -> None:
    here.home.hear(reading(0))
    here.home.store()
    here.home.tell(f"UPDATE rollup_marks SET thinned_ts = {START_TS}")

    told = here.told("import", here.write(f"{START_TS - 8},1", f"{START_TS + 8},1"))

    assert (told["added"], told["refused"]) == (1, 1)
    assert told["reasons"] == [[1, "older than keep_measures"]]


def test_an_import_that_was_killed_is_started_again(here: Installation) -> None:
    here.home.store()
    many = [f"{START_TS + 8 * n},{n}" for n in range(20_000)]
    file = here.write("time,watts", *many)
    with started(here.config, "import", "-", stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write("\n".join(["time,watts", *many[:15_000]]))
        process.stdin.flush()  # it waits for the rest
        wait_until(lambda: len(here.measures()) >= 5000)
        process.kill()

    result = here.call("import", file)

    assert result.exit_code == 0
    assert result.stdout.endswith(" already there, 0 refused.\n")
    assert [ts for ts, _, _ in here.measures()] == [START_TS + 8 * n for n in range(20_000)]
    assert_right(here.home)


def test_lines_are_taken_from_a_pipe(here: Installation) -> None:
    with started(here.config, "import", "-", stdin=subprocess.PIPE) as process:
        said, _ = process.communicate(f"{START_TS},1\n", timeout=DEADLINE_S)

    assert (process.returncode, said) == (0, "1 added, 0 already there, 0 refused.\n")


def test_of_several_sensors_one_must_be_named(here: Installation) -> None:
    two = [SENSOR, {**SENSOR, "slug": "garage", "name": "Garage", "key": "00" * 15 + "01"}]
    here.configure(sensors=two)
    file = here.write(f"{START_TS},1")

    unnamed, named = (
        here.call("import", file),
        here.call("import", file, "--sensor", "garage"),
    )

    assert (unnamed.exit_code, named.exit_code) == (2, 0)
    assert "add --sensor main|garage" in unnamed.stderr
    assert here.home.ask("SELECT slug FROM measures JOIN sensor_slugs USING (sensor_id)") == [
        ("garage",)
    ]


def test_a_named_sensor_takes_the_lines_of_one_sensor_and_no_other(here: Installation) -> None:
    lines = ["sensor_id,timestamp,value", f"3,{START_TS},1", f"4,{START_TS},2", f"3,{START_TS},3"]

    told = here.told("import", here.write(*lines), "--sensor", "main")

    assert (told["added"], told["refused"]) == (2, 1)
    assert told["reasons"] == [[3, "of sensor '4', and the lines before are not"]]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ["sensor,from,until,kwh,mean_w", "main,a,b,1,2"],
            "the first line names no time and power",
        ),
        (["\x00\x01\x02"], "the first line names no time and power"),
        (["a,b,c,d,e,f,g", "1,2,3,4,5,6,7"], "the first line names no time and power"),
    ],
)
def test_a_file_of_something_else_is_refused_as_a_whole(
    here: Installation, lines: list[str], said: str
) -> None:
    result = here.call("import", here.write(*lines))

    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("lines", [[], ["", ""], ["time,watts"]])
def test_a_file_without_measures_adds_none(here: Installation, lines: list[str]) -> None:
    result = here.call("import", here.write(*lines))

    assert (result.exit_code, result.stdout) == (0, "0 added, 0 already there, 0 refused.\n")
