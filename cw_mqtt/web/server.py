"""The web as a stage: our server listens, CherryPy answers.

Import it late, and only when the web is on: with CherryPy it takes some 10 MB.
"""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import cherrypy

from cw_mqtt.config.settings import Settings, WebSettings
from cw_mqtt.config.values import in_url
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.journal.journal import Journal
from cw_mqtt.model import Event
from cw_mqtt.runtime.health import Health
from cw_mqtt.web.access import Access, Caller, Proxies, is_local
from cw_mqtt.web.api import Api, WebQueries
from cw_mqtt.web.auth import Logins
from cw_mqtt.web.certificate import WARN_DAYS, Certificate
from cw_mqtt.web.changes import Changes
from cw_mqtt.web.first_user import FirstUser
from cw_mqtt.web.http_server import HttpServer, listen
from cw_mqtt.web.login import LoginPage, see
from cw_mqtt.web.openapi import document
from cw_mqtt.web.page.account import AccountPage, AccountStore, TokenStore
from cw_mqtt.web.page.address import KINDS
from cw_mqtt.web.page.history import HistoryPages
from cw_mqtt.web.page.home import HomePage
from cw_mqtt.web.page.house import HistoryQueries, House
from cw_mqtt.web.page.now import live, pill_of
from cw_mqtt.web.page.rendering import ADDRESSES, ASSETS, FOLDER, Visit, render, visit
from cw_mqtt.web.page.system import system_page
from cw_mqtt.web.pages import (
    HEADERS,
    HEADERS_OF_TLS,
    HTML,
    JSON,
    PAGE_METHODS,
    Page,
    Pages,
    application,
)

log = logging.getLogger(__name__)

FIRST_USER_EVERY_S = 1.0
CSV = "text/csv; charset=utf-8"
# the addresses of the old base's pages
MOVED = {
    "/conso": "/",
    "/settings": "/system",
    "/install": "/system",
    "/help": "/about",
    "/community": "/about",
}
KEPT_S = 365 * 86400  # its name changes with what is in it


class Queries(WebQueries, HistoryQueries, Protocol):
    """The database, as the API and the pages need it."""


class WebServer:
    """Serves the pages, the API and `/health` (a `stages.Service`).

    `queries`, `accounts` and `tokens` ask the database and raise `ResourceAwayError` when it is
    away. `is_night` says whether a second is in the night tariff. `tell` takes what happens.
    """

    name = "web"
    longest_pause_s = 10.0
    when_stuck = "all its threads are busy; what they wait for is among the other stages"

    def __init__(
        self,
        web: WebSettings,
        settings: Settings,
        *,
        journal: Journal,
        health: Health,
        queries: Queries,
        is_night: Callable[[int], bool],
        accounts: AccountStore,
        tokens: TokenStore,
        tell: Callable[[Event], None] = lambda event: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._health, self._clock = web, health, clock
        self._changes = Changes(tell, clock)
        self._first_user = FirstUser(accounts)
        self._warned_days: int | None = None
        self._certificate = Certificate(web.tls) if web.tls else None
        logins = Logins(accounts, count=lambda what: health.count("web", what))
        proxies = Proxies(web.trusted_proxies, web.base_path)
        access = Access(
            logins, accounts, tokens, proxies, lambda: journal.installation, self._is_database_away
        )
        api = Api(queries, self._changes, web.max_returned_values, clock)
        login = LoginPage(access, self._first_user)
        house = House(settings, journal, health, queries, clock)
        account = AccountPage(house, access, accounts, tokens)
        self._offered = views(house, account) | table(health, login, api)
        forms = {
            "/login": login.log_in,
            "/logout": login.log_out,
            "/account": lambda fields: account.change(visit(), fields),
        }
        rate = partial(rate_at, is_night, clock)
        pages = Pages(self._offered, forms, api.endpoints(), access, rate)
        headers = HEADERS | HEADERS_OF_TLS if web.tls else HEADERS
        self._application = application(pages, headers, proxies.base_path)
        self._headers = headers

    def serve(self, stopping: threading.Event, works: Callable[[], None]) -> None:
        """Listen and answer until `stopping`.

        Raises `ResourceAwayError` when the port or the certificate cannot be used.
        """
        tls = self._certificate.load() if self._certificate else None
        server = HttpServer(self._listen(), self._application, self._is_quick, self._headers, tls)
        threading.Thread(target=self._look_after_first_user, args=(stopping,), daemon=True).start()

        def look() -> None:
            if server.moves():
                works()
            self._changes.look()
            self._look_after_certificate(server)

        try:
            server.serve(stopping, look)
        finally:
            self._changes.tell_rest()

    def wake(self) -> None:
        """Nothing is to be done: `serve` sees by itself that it is to return."""

    def _is_database_away(self) -> bool:
        stage = self._health.stages().get("database")
        return stage is not None and stage.state == "waiting" and stage.faults > 0

    def _is_quick(self, environ: Mapping[str, Any]) -> bool:
        """Whether the answer asks no database: who has a cookie may be logged in already."""
        if environ["REQUEST_METHOD"] not in PAGE_METHODS:
            return False
        page = self._offered.get(environ["PATH_INFO"].removeprefix(self._settings.base_path))
        is_known = "HTTP_COOKIE" in environ and page is self._offered["/login"]
        return page is not None and not page.needs_login and not is_known

    def _look_after_certificate(self, server: HttpServer) -> None:
        """Use a renewed certificate, and say in time when it ends."""
        if not (certificate := self._certificate):
            return
        server.tls = certificate.renewed() or server.tls
        days = certificate.days_left(self._clock())
        self._health.show("web", "certificate_days_left", value=days)
        if days < WARN_DAYS and days != self._warned_days:
            log.warning("web.tls: the certificate is valid for %d more days; renew it", days)
            self._warned_days = days

    def _look_after_first_user(self, stopping: threading.Event) -> None:
        """Print the code for it when there is no user, and see when there is one."""
        is_missing = True
        while is_missing and not stopping.is_set():
            with suppress(ResourceAwayError):
                is_missing = self._first_user.look()
            stopping.wait(FIRST_USER_EVERY_S)

    def _listen(self) -> socket.socket:
        settings = self._settings
        try:
            return listen((settings.host, settings.port))
        except OSError as error:
            # of a name that is not found the number is negative, and the text is good
            number = error.errno or 0
            reason = os.strerror(number) if number > 0 else error.strerror
            raise ResourceAwayError(
                f"cannot listen on {in_url(settings.host)}:{settings.port}: {reason}; change "
                "web.port (or web.host), or stop the program that holds it"
            ) from error


def rate_at(is_night: Callable[[int], bool], clock: Callable[[], float]) -> str:
    """What the legacy API calls the tariff of now."""
    return "night" if is_night(int(clock())) else "day"


def views(house: House, account: AccountPage) -> dict[str, Page]:
    """What people look at."""
    history = HistoryPages(house)
    home = HomePage(house, history)

    def period(caller: Caller | None) -> str:
        return history.html(visit(caller), cherrypy.request.path_info)

    def now(caller: Caller | None) -> str:
        asked = visit(caller)
        return live(house, house.sensor(asked.query.get("sensor")), asked.t)

    def rows(caller: Caller | None) -> str:
        return history.csv(visit(caller), cherrypy.request.path_info)

    return {
        "/": Page(HTML, lambda caller: home.html(visit(caller))),
        "/live": Page(JSON, now),
        "/system": Page(HTML, lambda caller: system_page(house, visit(caller))),
        "/account": Page(HTML, lambda caller: account.html(visit(caller)), has_secrets=True),
        "/about": Page(HTML, lambda caller: about(house, visit(caller))),
        **dict.fromkeys((f"/{kind}" for kind in KINDS), Page(HTML, period)),
        **dict.fromkeys((f"/{kind}/*" for kind in KINDS), Page(HTML, period)),
        **dict.fromkeys((f"/{kind}/*.csv" for kind in KINDS), Page(CSV, rows)),
        "/years.csv": Page(CSV, rows),
        **{old: moved(new) for old, new in MOVED.items()},
        **{ADDRESSES[file]: asset(content_type, file) for file, content_type in ASSETS.items()},
    }


def about(house: House, visit: Visit) -> str:
    """What the figures mean."""
    t = visit.t
    common = {"here": "about", "pill": pill_of(house, t), "logged_in": visit.logged_in}
    return render("about.html", t, t("about_page"), **common)


def table(health: Health, login: LoginPage, api: Api) -> dict[str, Page]:
    """What each other path gives, beside the API."""
    described = json.dumps(document(api.endpoints()))
    return {
        "/login": Page(HTML, lambda _: login.html(), needs_login=False),
        "/health": Page(JSON, lambda _: told(health), needs_login=False),
        "/health/details": Page(JSON, lambda _: json.dumps(health.report())),
        "/api/openapi.json": Page(JSON, lambda _: described, needs_login=False),
    }


def told(health: Health) -> str:
    """What anybody may know, on this computer everything; 503 while something is wrong."""
    report = health.report()
    cherrypy.response.status = 200 if report["status"] == "ok" else 503
    if is_local():
        return json.dumps(report)
    stages = {name: {"state": stage["state"]} for name, stage in report["stages"].items()}
    return json.dumps({"status": report["status"], "stages": stages})


def moved(path: str) -> Page:
    """Where an old address leads; what stands after its `#` goes along by itself."""
    return Page(HTML, lambda _: see(path), needs_login=False)


def asset(content_type: str, file: str) -> Page:
    """A file of the page; it has nothing to hide."""
    text = (FOLDER / file).read_text(encoding="utf-8")
    return Page(content_type, lambda _: text, needs_login=False, cache_s=KEPT_S)
