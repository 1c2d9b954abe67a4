"""A house with a long history, and a real browser in it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, sync_playwright

from cw_mqtt.measure.tariff import Contract
from cw_mqtt.model import SensorState
from cw_mqtt.records import Role
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.history import add_missing
from cw_mqtt.store.opening import prepare_database
from cw_mqtt.store.users import Accounts
from tests.home import Home, reading
from tests.missing import CHROMIUM, needed
from tests.program import free_port
from tests.settings import NIGHT_CONTRACT
from tests.web.site import ADA, Site

PARIS = ZoneInfo("Europe/Paris")
NOW_TS = int(datetime(2026, 11, 25, 19, 42, tzinfo=PARIS).timestamp())
DAYS, EVERY_S, ADDED_AT_ONCE = 460, 300, 5000
GAP = range(
    int(datetime(2026, 11, 18, 6, tzinfo=PARIS).timestamp()),
    int(datetime(2026, 11, 18, 18, tzinfo=PARIS).timestamp()),
)
CONTRACT = {
    **NIGHT_CONTRACT,
    "day": {"eur_per_kwh": 0.2, "eur_per_month": 30},
    "night": {"eur_per_kwh": 0.1, "eur_per_month": 30},
    "threshold_w": 6000,
}

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def year(tmp_path_factory: pytest.TempPathFactory, password_hash: str) -> Iterator[Home]:
    """A house that uses 1 kW from 18 h to 24 h and 200 W else, but for half a day not measured."""
    home = Home(tmp_path_factory.mktemp("year"), providers=[CONTRACT])
    prepare_database(home.engine, home.settings, NOW_TS)
    Accounts(home.engine).add(ADA[0], password_hash, Role.WRITE)
    is_night = Contract(home.settings).is_night
    last_ts = NOW_TS - 3
    times = iter(range(last_ts - DAYS * 86400, last_ts + 1, EVERY_S))
    with transaction(home.engine) as connection:
        while some := [ts for ts in islice(times, ADDED_AT_ONCE) if ts not in GAP]:
            points = {(ts, power_w(ts)): is_night(ts) for ts in some}
            add_missing(connection, 1, points, EVERY_S)
    hear(home, 1000)
    yield home
    home.close()


def power_w(ts: int) -> float:
    return 1000.0 if datetime.fromtimestamp(ts, PARIS).hour >= 18 else 200.0


def hear(home: Home, watts: float) -> None:
    """The newest reading, three seconds ago."""
    latest = reading(NOW_TS - 3 - reading(0).ts, power_w=watts)
    home.journal.commit([SensorState("main", latest=latest, seen_ts=NOW_TS - 3)])


@pytest.fixture(scope="session")
def year_site(year: Home) -> Iterator[Site]:
    """The web server of that house."""
    with Site(
        year.journal,
        year.health,
        free_port(),
        engine=year.engine,
        clock=lambda: NOW_TS,
        providers=[CONTRACT],
    ) as site:
        yield site.wait()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """Debian's Chromium."""
    program = needed("chromium", CHROMIUM)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Chromium, year_site: Site) -> Iterator[Open]:
    """Opens a view, logged in; what the page complains of fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def opened(path: str, width: int = 1280, **options: object) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text))
        base = f"http://127.0.0.1:{year_site.port}"
        form = {"login": ADA[0], "password": ADA[1]}
        context.request.post(f"{base}/login", form=form)
        page.goto(base + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    expected = ("ERR_FAILED", "401 (Unauthorized)")  # what the browser says of lost answers
    assert [text for text in complaints if not any(e in text for e in expected)] == []
