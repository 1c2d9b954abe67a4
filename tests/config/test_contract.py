"""Contracts as people write them."""

from datetime import date, timedelta

import pytest

from cw_mqtt.config.contract import ProviderSettings
from tests.config.conftest import LEAST, Load, Refuse
from tests.settings import NIGHT_CONTRACT, SIX_PRICES

MONDAY = date(2026, 11, 23)
HEAD = "providers:\n  - name: a\n    eur_per_month: 15.96\n    tariffs:\n"
REST = "      - {name: day, eur_per_kwh: 0.2}\n"


def planned(contract, day):
    line = ProviderSettings.model_validate(contract)
    return [(second / 3600, tariff.name) for second, tariff in line.plan(day)]


def test_day_and_night_are_two_tariffs(load: Load) -> None:
    night, day = ProviderSettings.model_validate(NIGHT_CONTRACT).tariffs

    assert (night.name, night.eur_per_kwh, day.name, day.eur_per_kwh) == ("night", 0.1, "day", 0.2)
    assert planned(NIGHT_CONTRACT, MONDAY) == [(0, "night"), (6.5, "day"), (22.5, "night")]


def test_a_weekend_tariff_needs_nothing_but_settings(load: Load) -> None:
    weekend = "      - {name: weekend, eur_per_kwh: 0.15, days: [weekend]}\n"
    night = '      - {name: night, eur_per_kwh: 0.1, hours: ["22:00-06:00"]}\n'

    (line,) = load(HEAD + weekend + night + REST).providers

    friday = MONDAY - timedelta(days=3)
    plans = [[(s // 3600, t.name) for s, t in line.plan(friday + timedelta(n))] for n in range(4)]
    assert plans == [
        [(0, "night"), (6, "day"), (22, "night")],
        [(0, "weekend")],
        [(0, "weekend")],
        [(0, "night"), (6, "day"), (22, "night")],
    ]
    assert line.monthly == (15.96, 15.96)


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    days = ["2026-01-11", "2026-01-12", "2026-01-13", "2026-01-14", "2026-01-15"]

    plans = {day[-2:]: planned(SIX_PRICES, date.fromisoformat(day)) for day in days}

    assert plans == {
        "11": [(0, "blue_night"), (6, "blue_day"), (22, "blue_night")],
        "12": [(0, "blue_night"), (6, "red_day"), (22, "red_night")],
        "13": [(0, "red_night"), (6, "red_day"), (22, "red_night")],
        "14": [(0, "red_night"), (6, "white_day"), (22, "white_night")],
        "15": [(0, "white_night"), (6, "blue_day"), (22, "blue_night")],
    }


@pytest.mark.parametrize(
    ("days", "held"),
    [
        (["sat"], [5]),
        (["SUN", "mon"], [0, 6]),
        (["workdays"], [0, 1, 2, 3, 4]),
        (["weekend", "2026-11-25"], [2, 5, 6]),
    ],
)
def test_days_are_weekdays_or_dates(days: list[str], held: list[int]) -> None:
    tariffs = [
        {"name": "chosen", "eur_per_kwh": 0.1, "days": days},
        {"name": "rest", "eur_per_kwh": 0.2},
    ]

    week = [planned({"name": "a", "tariffs": tariffs}, MONDAY + timedelta(n)) for n in range(7)]

    assert [n for n, plan in enumerate(week) if plan == [(0, "chosen")]] == held


@pytest.mark.parametrize(
    ("tariffs", "line", "column", "setting", "problem"),
    [
        (
            '      - {name: night, eur_per_kwh: 0.1, hours: ["22-06"]}\n' + REST,
            11,
            49,
            "tariffs[0].hours[0]",
            'expected hours such as "22:30-06:30", got "22-06"',
        ),
        (
            "      - {name: we, eur_per_kwh: 0.1, days: [samedi]}\n" + REST,
            11,
            45,
            "tariffs[0].days[0]",
            'expected a day such as sat or 2026-01-12, or weekend or workdays, got "samedi"',
        ),
        (
            "      - {name: Off-peak, eur_per_kwh: 0.1}\n",
            11,
            16,
            "tariffs[0].name",
            'expected 1 to 32 of the characters a-z, 0-9 and _, got "Off-peak"',
        ),
        (
            "      - {name: day, eur_per_kwh: 0.1, days: [sat]}\n" + REST,
            12,
            16,
            "tariffs[1].name",
            "the same as tariffs[0].name; expected another",
        ),
        (
            "      - {name: flat, eur_per_kwh: 0.1}\n" + REST,
            11,
            9,
            "tariffs[0]",
            "expected hours or days; only the last tariff, for the rest, has neither",
        ),
        (
            "      - {name: flat, eur_per_kwh: 0.1, days: [sat]}\n",
            11,
            40,
            "tariffs[0].days",
            "the last tariff is for the rest of the time; expected no hours or days",
        ),
        (
            "      - {name: we, eur_per_kwh: 0.1, days: [weekend]}\n"
            "      - {name: sat, eur_per_kwh: 0.1, days: [sat], hours: [1:00-2:00]}\n" + REST,
            12,
            9,
            "tariffs[1]",
            "never applies: the tariffs before it cover all of its time",
        ),
        (
            "      - {name: we, eur_per_kwh: 0.1, days: [weekend, workdays]}\n" + REST,
            12,
            9,
            "tariffs[1]",
            "never applies: the tariffs before it cover all of its time",
        ),
        (
            REST + "    day: {eur_per_kwh: 0.2}\n",
            12,
            5,
            "day",
            "expected either tariffs, or day and night",
        ),
    ],
)
def test_a_mistake_in_tariffs_has_its_place(
    tariffs: str, line: int, column: int, setting: str, problem: str, refuse: Refuse
) -> None:
    (mistake,) = refuse(LEAST + HEAD + tariffs).mistakes

    assert (mistake.setting, mistake.problem) == (f"providers[0].{setting}", problem)
    assert (mistake.line, mistake.column) == (line, column)


@pytest.mark.parametrize(
    ("entry", "setting", "problem"),
    [
        ("", "providers[0]", "expected day, or tariffs"),
        (
            ", day: {eur_per_kwh: 1}, eur_per_month: 2",
            "providers[0].eur_per_month",
            "belongs beside tariffs; with day, write it there",
        ),
    ],
)
def test_a_contract_is_written_in_one_form(
    entry: str, setting: str, problem: str, refuse: Refuse
) -> None:
    (mistake,) = refuse(f"{LEAST}providers: [{{name: a{entry}}}]").mistakes

    assert (mistake.setting, mistake.problem) == (setting, problem)
