"""French and English say the same things, each in its own way."""

import re
from datetime import date, datetime
from string import Formatter

import pytest

from cw_mqtt.web.page.language import LANGUAGES, preferred
from cw_mqtt.web.page.words import MONTHS, SHORT_MONTHS, SHORT_WEEKDAYS, WEEKDAYS, WORDS

EN, FR = LANGUAGES["en"], LANGUAGES["fr"]
SAME = {
    *("seconds", "minutes", "hours", "per_hour", "csv", "kwh", "watts", "pages", "code", "total"),
    *("corrections", "version"),
}


def fields(text):
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name)


@pytest.mark.parametrize("key", WORDS)
def test_every_word_is_there_in_both_languages_with_the_same_fields(key):
    assert set(WORDS[key]) == set(LANGUAGES)
    assert fields(WORDS[key]["en"]) == fields(WORDS[key]["fr"])
    assert (WORDS[key]["en"] != WORDS[key]["fr"]) or key in SAME


@pytest.mark.parametrize("key", WORDS)
def test_french_has_spaces_before_its_marks(key):
    assert not re.search(r"[^\s\u00a0\u202f][?!:;]( |$)", WORDS[key]["fr"])


@pytest.mark.parametrize(
    ("names", "count"), [(WEEKDAYS, 7), (SHORT_WEEKDAYS, 7), (MONTHS, 12), (SHORT_MONTHS, 12)]
)
def test_days_and_months_have_names_of_their_own(names, count):
    assert [len(set(names[code])) for code in LANGUAGES] == [count, count]


@pytest.mark.parametrize(
    ("value", "decimals", "en", "fr"),
    [
        (3557, 0, "3,557", "3\u202f557"),
        (1234567.891, 2, "1,234,567.89", "1\u202f234\u202f567,89"),
        (-0.4, 0, "0", "0"),
        (-12.5, 1, "\u221212.5", "\u221212,5"),
    ],
)
def test_numbers(value, decimals, en, fr):
    assert EN.number(value, decimals) == en
    assert FR.number(value, decimals) == fr


@pytest.mark.parametrize(
    ("kwh", "shown"), [(0.123, "0.12"), (3.94, "3.94"), (19.44, "19.4"), (477.4, "477")]
)
def test_energy_is_as_exact_as_people_want_it(kwh, shown):
    assert EN.kwh(kwh) == shown


@pytest.mark.parametrize(
    ("amount", "currency", "en", "fr"),
    [
        (3.94, "EUR", "€3.94", "3,94\u00a0€"),
        (1275.4, "EUR", "€1,275", "1\u202f275\u00a0€"),
        (-2.5, "EUR", "\u2212€2.50", "\u22122,50\u00a0€"),
        (7, "CHF", "7.00\u00a0CHF", "7,00\u00a0CHF"),
    ],
)
def test_money(amount, currency, en, fr):
    assert EN.money(amount, currency) == en
    assert FR.money(amount, currency) == fr


def test_percents_and_their_signs():
    assert (EN.percent(0.59), FR.percent(0.59)) == ("59%", "59\u00a0%")
    assert EN.percent(0.12, sign=True) == "+12%"
    assert EN.percent(-0.04, sign=True) == "\u22124%"
    assert EN.percent(0.001, sign=True) == "0%"


@pytest.mark.parametrize(
    ("seconds", "en", "fr"),
    [
        (-5, "0 s", "0 s"),
        (3.9, "3 s", "3 s"),
        (119, "119 s", "119 s"),
        (120, "2 min", "2 min"),
        (7200, "2 h", "2 h"),
        (86400 * 3, "3 days", "3 jours"),
    ],
)
def test_ages(seconds, en, fr):
    assert (EN.ago(seconds), FR.ago(seconds)) == (en, fr)


def test_dates_and_times():
    first, at = date(2026, 11, 1), datetime(2026, 11, 1, 2, 1)  # noqa: DTZ001 - local already

    assert EN.day(first, weekday=True, year=True) == "Sunday 1 November 2026"
    assert FR.day(first, weekday=True) == "dimanche 1er novembre"
    assert FR.time(at) == "02:01"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        ("en-GB, fr;q=0.9", "en"),
        ("de, fr;q=0.5, en;q=0.4", "fr"),
        ("de", "en"),
        ("", "en"),
        ("fr;q=0, en;q=0.1", "en"),
        ("fr;q=x", "en"),
        ("," * 10_000, "en"),
    ],
)
def test_a_browser_gets_the_language_that_it_asks_for(header, code):
    assert preferred(header).code == code
