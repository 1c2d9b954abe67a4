"""What callers get, over real HTTP."""

import json
from collections.abc import Callable, Iterator
from http.client import IncompleteRead

import pytest
from sqlalchemy import Engine

from cw_mqtt import __version__
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.journal.journal import Journal
from cw_mqtt.model import Energy, Reading, SensorState, Verdict
from cw_mqtt.records import Range, StoredMeasure
from cw_mqtt.runtime.health import Health
from tests.web.site import ADA, CSS, JS, NOW_TS, Site, sensor

MakeSite = Callable[..., Site]

HALL = SensorState(
    "hall",
    energy=Energy(total_j=3.6e6 * 12_345.678, loaded=True),
    latest=Reading("hall", int(NOW_TS) - 8, 1234.4, 230, 2870, Verdict.CONFIRMED),
    seen_ts=NOW_TS - 8,
    verdicts={Verdict.VERIFIED: 41, Verdict.REPLAYED: 2},
)


def system_page(make_site: MakeSite, name: str = "Hall") -> str:
    """The page's text, with ordinary spaces."""
    site = make_site(sensors=[sensor("hall", name)]).wait()
    return site.call("/system").text.replace("\N{NARROW NO-BREAK SPACE}", " ")


def test_health_needs_no_login_and_is_the_report(site: Site) -> None:
    site.health.count("packets", by=3)

    answer = site.call("/health", login=None)

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert json.loads(answer.text)["packets"] == 3


def test_health_has_a_failing_status_for_monitors_while_something_is_wrong(
    make_site: MakeSite, health: Health
) -> None:
    site = make_site().wait()
    health.waiting("mqtt", "no broker at localhost:1883")

    answer = site.call("/health", login=None)

    assert answer.status == 503
    report = json.loads(answer.text)
    assert report["status"] == "degraded"
    assert report["stages"]["mqtt"]["reason"] == "no broker at localhost:1883"


def test_health_answers_while_the_database_is_away(make_site: MakeSite, away: Engine) -> None:
    site = make_site(engine=away).wait()

    assert site.call("/health").status == 200


def test_the_system_page_shows_what_the_journal_has(make_site: MakeSite, journal: Journal) -> None:
    journal.commit([HALL])

    page = system_page(make_site)

    values = ["12,345.68 kWh", "2.87 V", "8 s ago", "good (41 of 41)", "2 repeated later"]
    assert [text for text in [*values, "Hall", "citizenwatt/hall/state"] if text not in page] == []


def test_a_total_that_is_not_loaded_is_not_shown(make_site: MakeSite, journal: Journal) -> None:
    journal.commit([SensorState("hall", energy=Energy(total_j=3.6e6 * 345))])

    page = system_page(make_site)

    assert "kWh" not in page
    assert "waiting for the database" in page


def test_the_page_tells_which_part_waits_and_why(
    make_site: MakeSite, journal: Journal, health: Health
) -> None:
    journal.commit([HALL])
    health.waiting("mqtt", "broker <away>")

    page = system_page(make_site)

    assert "1 thing to see" in page
    assert "<b>MQTT broker</b> not reachable" in page
    assert "broker &lt;away&gt;" in page


@pytest.mark.parametrize(
    "stage",
    [
        *("settings", "receiver hall", "bridge", "mqtt", "database", "sensor hall"),
        "packets hall",
    ],
)
def test_every_part_has_a_name(make_site: MakeSite, health: Health, stage: str) -> None:
    health.waiting(stage, "in vain")

    assert "in vain" in system_page(make_site)


def test_html_in_a_sensors_name_is_only_text(make_site: MakeSite) -> None:
    page = system_page(make_site, name="<script>alert(1)</script>")

    assert "&lt;script&gt;alert(1)" in page
    assert "<script>" not in page


@pytest.mark.parametrize("path", ["/", "/health", CSS, "/nothing"])
def test_every_answer_forbids_foreign_scripts_and_frames(site: Site, path: str) -> None:
    headers = site.call(path).headers

    assert "default-src 'none'; script-src 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers.get_all("Server") == ["cw-mqtt"]


@pytest.mark.parametrize("path", [CSS, JS])
def test_the_pages_files_need_no_login(site: Site, path: str) -> None:
    assert site.call(path, login=None).status == 200


@pytest.mark.parametrize(
    ("login", "words"),
    [(None, "needed"), (("ada", "wrong"), "wrong"), (("eve", ADA[1]), "wrong")],
)
def test_without_the_right_password_a_program_is_told_to_ask(
    site: Site, login: tuple[str, str] | None, words: str
) -> None:
    answer = site.call("/", login)

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="cw_mqtt", charset="UTF-8"'
    assert words in answer.text


def test_a_login_while_the_database_is_away_is_503_and_tells_a_stranger_nothing(
    make_site: MakeSite, away: Engine
) -> None:
    answer = make_site(engine=away).wait().call("/")

    assert answer.status == 503
    assert "The database is unavailable" in answer.text
    assert answer.headers["Retry-After"] == "1"
    assert "127.0.0.1" not in answer.text


def test_while_the_database_does_not_answer_nobody_waits_for_it(
    make_site: MakeSite, health: Health
) -> None:
    site = make_site().wait()
    health.waiting("database", "it does not answer", faults=1)

    assert site.call("/api/time").status == 503
    assert site.call("/login", None, headers={"Cookie": "cw-mqtt-0=x"}).status == 200
    health.working("database")
    assert site.call("/api/time").status == 200


def test_the_login_page_asks_no_database(make_site: MakeSite, away: Engine) -> None:
    assert make_site(engine=away).wait().call("/login").status == 200


def test_from_elsewhere_health_says_no_more_than_what_works(site: Site) -> None:
    through_a_proxy = {"X-Forwarded-For": "192.0.2.1"}

    answer = json.loads(site.call("/health", None, headers=through_a_proxy).text)
    details = site.call("/health/details", None)

    assert answer.keys() == {"status", "stages"}
    assert answer["stages"]["web"] == {"state": "working"}
    assert details.status == 401
    assert "version" in json.loads(site.call("/health/details").text)


@pytest.mark.parametrize("path", ["/login", "/health", CSS, "/api/openapi.json", "/api/x"])
def test_a_stranger_learns_no_version(site: Site, path: str) -> None:
    answer = site.call(path, None, headers={"X-Forwarded-For": "192.0.2.1"})

    assert __version__ not in answer.text + str(answer.headers)


@pytest.mark.parametrize("path", ["/", "/login", "/health", CSS, "/api/openapi.json"])
def test_head_gives_the_headers_without_the_page(site: Site, path: str) -> None:
    answer = site.call(path, method="HEAD")

    assert (answer.status, answer.text) == (200, "")
    assert int(answer.headers["Content-Length"]) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_another_method_is_405_and_says_which_ones_work(site: Site, method: str) -> None:
    answer = site.call("/", method=method)

    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/nothing", "/health/", "/status.html", "/../auth.py", "/%00"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_404_whoever_asks(site: Site, path: str, method: str) -> None:
    assert site.call(path, login=None, method=method).status == 404


def test_a_query_changes_nothing(site: Site) -> None:
    assert site.call("/health?_=1").status == 200


@pytest.mark.parametrize(("path", "html"), [("/api/no", False), ("/no", True)])
def test_errors_are_json_for_programs_and_pages_for_people(
    site: Site, path: str, html: bool
) -> None:
    answer = site.call(path)

    assert answer.headers["Content-Type"].startswith("text/html" if html else "application/json")
    assert ("<h1>404 Not Found</h1>" in answer.text) is html


def test_an_error_in_json_is_not_written_for_html(make_site: MakeSite, health: Health) -> None:
    def refuse() -> None:
        raise ResourceAwayError("the disk said <no> & went")

    health.ask("disk", answer=refuse)

    answer = make_site().wait().call("/health")

    assert answer.status == 503
    assert json.loads(answer.text) == {"data": None, "error": "the disk said <no> & went"}


def test_a_fault_of_ours_is_in_the_log_and_not_in_the_answer(
    make_site: MakeSite, health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    health.ask("fault", answer=lambda: 1 // 0)

    answer = make_site().wait().call("/health")

    assert answer.status == 500
    assert "Zero" not in answer.text
    assert "ZeroDivisionError" in caplog.text
    assert "Basic" not in caplog.text


class GoneHalfWay:
    """A database that goes away in the middle of a long list."""

    def stream(self, chosen: Range) -> Iterator[StoredMeasure]:
        yield from (StoredMeasure(n, 1, n, 7.0, 0) for n in range(1000))
        raise ResourceAwayError("gone")

    def count(self, chosen: Range, most: int) -> int:
        return 1000


@pytest.mark.usefixtures("caplog")
def test_a_list_that_fails_half_way_does_not_look_whole(make_site: MakeSite) -> None:
    site = make_site(queries=GoneHalfWay()).wait()

    with pytest.raises(IncompleteRead):
        site.call("/api/1/get/watts/by_time/0/5000")
