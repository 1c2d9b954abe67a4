"""The pages of a house with two years of history, over real HTTP."""

import csv
import io
import re

import pytest

from tests.web.site import Answer, Browser, Site

VIEWS = ["/", "/day", "/week", "/month", "/year", "/years", "/system", "/about", "/account"]


@pytest.fixture
def browser(year_site: Site) -> Browser:
    browser = Browser(year_site)
    browser.log_in()
    return browser


def words(answer: Answer) -> str:
    """What a page says, without its markup."""
    text = re.sub(r"<[^>]+>", " ", answer.text)
    return " ".join(text.replace("\N{NARROW NO-BREAK SPACE}", " ").split())


@pytest.mark.parametrize("path", VIEWS)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_each_view_opens_in_both_languages(browser: Browser, path: str, language: str) -> None:
    answer = browser.get(path, Accept_Language=language)

    assert answer.status == 200
    assert f'<html lang="{language}">' in answer.text
    assert answer.text.count("<h1") == 1


def test_home_says_what_is_used_and_what_it_costs(browser: Browser) -> None:
    said = words(browser.get("/"))

    # 18 h at 200 W and 1.7 h at 1 kW; 6.5 h of these by night; 24.82 days of 30 euros a month
    today = "5.35 kWh €1.76"
    assert "Right now measured 3 s ago 1,000 W €0.20/h day rate until 22:30" in said
    assert "17% of your 6 kVA" in said
    assert today in said
    assert "Always on 200 W" in said
    assert "End of November about" in said


def test_a_comparison_is_fair_or_is_not_made(browser: Browser) -> None:
    said = words(browser.get("/"))

    assert "Today 5.35 kWh 0% · yesterday" in said
    assert "2025: " in said
    assert "measured, not compared" in said


def test_a_gap_is_hatched_and_the_sum_is_at_least(browser: Browser) -> None:
    answer = browser.get("/month/2026-11")

    assert answer.text.count('class="gap"') == 1
    assert "Wednesday 18 November: at least" in answer.text
    assert "50% measured" in answer.text


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("path", ["/day/2026-11-18", "/week/2026-W47", "/month/2026-11", "/years"])
def test_table_bars_and_csv_say_the_same(browser: Browser, path: str) -> None:
    page, found = browser.get(path), rows(browser.get(f"{path}.csv").text)

    energies = [float(row["kwh"]) for row in found if row["kwh"]]
    cells = re.findall(r'<tr><th scope="row">[^<]*</th><td>([\d.,]+)</td>', page.text)
    bars = re.findall(r'data-value="(?:at least )?([\d.,]+) kWh', page.text)
    assert [float(cell.replace(",", "")) for cell in cells] == pytest.approx(energies, abs=0.6)
    assert [float(bar.replace(",", "")) for bar in bars] == pytest.approx(energies, abs=0.6)


def test_the_csv_costs_what_the_prices_of_then_say(browser: Browser) -> None:
    (row,) = (r for r in rows(browser.get("/month/2026-10.csv").text) if "10-07T" in r["from"])

    assert float(row["day_kwh"]) == pytest.approx(4.5 * 1 + 11.5 * 0.2, rel=0.02)
    assert float(row["night_kwh"]) == pytest.approx(1.5 * 1 + 6.5 * 0.2, rel=0.02)
    assert float(row["cost"]) == pytest.approx(6.8 * 0.2 + 2.8 * 0.1 + 30 / 31, rel=0.01)
    assert row["currency"] == "EUR"


def test_days_on_which_the_clocks_change_have_23_and_25_hours(browser: Browser) -> None:
    spring, autumn = (
        rows(browser.get(f"/day/{day}.csv").text) for day in ("2026-03-29", "2026-10-25")
    )

    assert (len(spring), len(autumn)) == (23, 25)


def test_what_two_times_of_a_day_cost_is_answered(browser: Browser) -> None:
    said = words(browser.get("/day/2026-11-24?from=20:00&to=22:30"))

    assert "From 20:00 to 22:30: 2.50 kWh, €0.60" in said


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/day/2026-11-26", 404),
        ("/day/yesterday", 400),
        ("/day/2026-02-30", 400),
        ("/week/2026-W60", 400),
        ("/month/2026-1", 400),
        ("/year/0001", 400),
        ("/year/99999", 400),
        ("/day?in=joules", 400),
        ("/day?with=me", 400),
        ("/day?sensor=<script>", 404),
        ("/day/2026-11-24?from=22:00&to=20:00", 400),
        ("/day/2026-11-24?from=1e9&to=x", 400),
        ("/day/at/999999999999999", 404),
        ("/day/at/x", 400),
        ("/decade", 404),
    ],
)
def test_an_address_of_nothing_is_told_with_a_way_home(
    browser: Browser, path: str, status: int
) -> None:
    answer = browser.get(path)

    assert answer.status == status
    assert 'href="/">Back to the first page' in answer.text
    assert "<script>" not in answer.text


def test_there_is_no_way_beyond_the_first_measure_and_now(browser: Browser) -> None:
    assert 'rel="next"' not in browser.get("/month/2026-11").text
    assert 'rel="prev"' not in browser.get("/year/2025").text


@pytest.mark.parametrize(
    ("old", "new"),
    [("/conso", "/"), ("/settings", "/system"), ("/install", "/system"), ("/help", "/about")],
)
def test_the_old_bases_addresses_lead_to_the_right_view(
    browser: Browser, old: str, new: str
) -> None:
    assert browser.get(old).headers["Location"] == new


def test_a_language_is_switched_to_and_kept(browser: Browser) -> None:
    answer = browser.get("/month/2026-11?in=w&lang=fr")

    assert answer.headers["Location"] == "/month/2026-11?in=w"
    assert "cw-mqtt-language=fr" in answer.headers["Set-Cookie"]


def test_a_switch_of_language_adds_no_header(browser: Browser) -> None:
    answer = browser.get("/day/x%0d%0aX-Evil:%201?lang=fr")

    assert answer.headers["Location"] == "/day/x%0D%0AX-Evil%3A%201"
    assert answer.headers["X-Evil"] is None


def test_long_pages_are_compressed_for_who_can_read_that_and_the_account_is_not(
    year_site: Site, browser: Browser
) -> None:
    def encoding(path: str) -> str | None:
        headers = {"Accept": "text/html", "Accept-Encoding": "gzip", "Cookie": browser.cookie}
        return year_site.raw_headers(path, headers)["Content-Encoding"]

    assert encoding("/month") == "gzip"
    assert encoding("/account") is None


def test_the_live_figure_is_what_the_page_shows(browser: Browser) -> None:
    now = browser.get("/live").text

    assert '"power": "1,000"' in now
    assert '"age": "measured 3 s ago"' in now
