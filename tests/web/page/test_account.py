"""What people do with their own account."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from cw_mqtt.records import Role
from cw_mqtt.runtime.health import Health
from tests.web.site import ADA, Browser, Site

NEW = "quite another one"


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site().wait()


@pytest.fixture
def browser(site: Site) -> Browser:
    browser = Browser(site)
    browser.log_in()
    return browser


def test_a_new_password_ends_the_other_browsers(site: Site, browser: Browser) -> None:
    other = Browser(site)
    other.log_in()

    answer = browser.post("/account", {"do": "password", "current": ADA[1], "new": NEW})

    assert "The password is changed" in answer.text
    assert browser.get("/account").status == 200
    assert other.get("/account").status == 303
    assert site.call("/live", login=(ADA[0], NEW)).status == 200


@pytest.mark.parametrize(
    ("current", "new", "words"),
    [
        ("wrong", NEW, "wrong"),
        (ADA[1], "short", "8 to 1000"),
        (ADA[1], "password", "easily guessed"),
    ],
)
def test_a_password_that_cannot_be_changes_nothing(
    site: Site, browser: Browser, current: str, new: str, words: str
) -> None:
    answer = browser.post("/account", {"do": "password", "current": current, "new": new})

    assert words in answer.text
    assert site.call("/live").status == 200


def test_a_token_is_shown_once_and_lets_in_until_it_is_removed(
    site: Site, browser: Browser
) -> None:
    made = browser.post("/account", {"do": "add_token", "name": "grafana", "role": "read"})
    token = re.search(r"<pre[^>]*>([^<]+)</pre>", made.text)[1]
    bearer = {"Authorization": f"Bearer {token}"}

    assert token not in browser.get("/account").text
    assert site.call("/live", None, headers=bearer).status == 200
    browser.post("/account", {"do": "remove_token", "name": "grafana"})
    assert site.call("/live", None, headers=bearer).status == 401


@pytest.mark.parametrize(
    "fields",
    [
        {"do": "add_token", "name": "", "role": "read"},
        {"do": "add_token", "name": "x" * 65, "role": "read"},
        {"do": "add_token", "name": "x", "role": "admin"},
        {"do": "remove_token", "name": "nobody"},
        {"do": "end", "session": "99"},
        {"do": "end", "session": "x"},
    ],
)
def test_what_cannot_be_is_told_on_the_page(
    site: Site, browser: Browser, fields: dict[str, str]
) -> None:
    answer = browser.post("/account", fields)

    assert answer.status == 200
    assert 'class="bad"' in answer.text
    assert site.tokens.all() == []


def test_an_unknown_form_is_refused(browser: Browser) -> None:
    assert browser.post("/account", {"do": "everything"}).status == 400


def test_who_may_only_read_sees_and_makes_no_tokens(site: Site, browser: Browser) -> None:
    site.accounts.set_role(ADA[0], Role.READ)

    answer = browser.post("/account", {"do": "add_token", "name": "x", "role": "write"})

    assert answer.status == 403
    assert "Make a token" not in browser.get("/account").text


def test_logging_out_everywhere_ends_this_browser_too(site: Site, browser: Browser) -> None:
    browser.post("/account", {"do": "end"})

    assert browser.get("/account").status == 303


def test_another_sites_page_can_change_nothing(site: Site, browser: Browser) -> None:
    fields = {"do": "add_token", "name": "x", "role": "read"}

    assert browser.post("/account", fields, Sec_Fetch_Site="cross-site").status == 403
    assert site.tokens.all() == []


def test_a_program_has_no_account_page(site: Site) -> None:
    assert site.call("/account").status == 401


def test_who_was_seen_still_sees_the_pages_while_the_database_is_away(
    site: Site, browser: Browser, health: Health, engine: Engine
) -> None:
    assert browser.get("/live").status == 200

    health.working("database")
    health.waiting("database", "no answer", faults=1)

    assert browser.get("/live").status == 200
    assert Browser(site).get("/live").status in (303, 401)
    assert site.call("/live", login=ADA).status == 503
