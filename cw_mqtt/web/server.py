"""The web as a stage: our server listens, CherryPy answers.

Import it late, and only when the web is on: with CherryPy it takes some 10 MB.
"""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import cherrypy

from cw_mqtt.config.settings import SensorSettings, WebSettings
from cw_mqtt.config.values import DAY_S, in_url
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.journal.journal import Journal
from cw_mqtt.model import Event
from cw_mqtt.runtime.health import Health
from cw_mqtt.web.access import Access, Proxies, is_local
from cw_mqtt.web.api import Api, WebQueries
from cw_mqtt.web.auth import Accounts, Logins, Tokens
from cw_mqtt.web.certificate import WARN_DAYS, Certificate
from cw_mqtt.web.changes import Changes
from cw_mqtt.web.first_user import FirstUser
from cw_mqtt.web.http_server import HttpServer, listen
from cw_mqtt.web.login import LoginPage
from cw_mqtt.web.openapi import document
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
from cw_mqtt.web.status import FOLDER, StatusPage

log = logging.getLogger(__name__)

FIRST_USER_EVERY_S = 1.0


class WebServer:
    """Serves the status page, the API and `/health` (a `stages.Service`).

    `queries`, `accounts` and `tokens` ask the database and raise `ResourceAwayError` when it is
    away. `is_night` says whether a second is in the night tariff.
    `base_topic` is the MQTT one, None when nothing is published. `tell` takes what happens.
    """

    name = "web"
    longest_pause_s = 10.0
    when_stuck = "all its threads are busy; what they wait for is among the other stages"

    def __init__(
        self,
        settings: WebSettings,
        *,
        sensors: Sequence[SensorSettings],
        journal: Journal,
        health: Health,
        queries: WebQueries,
        is_night: Callable[[int], bool],
        accounts: Accounts,
        tokens: Tokens,
        base_topic: str | None = None,
        tell: Callable[[Event], None] = lambda event: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._health, self._clock = settings, health, clock
        self._changes = Changes(tell, clock)
        self._first_user = FirstUser(accounts)
        self._warned_days: int | None = None
        self._certificate = Certificate(settings.tls) if settings.tls else None
        logins = Logins(accounts, count=lambda what: health.count("web", what))
        proxies = Proxies(settings.trusted_proxies, settings.base_path)
        access = Access(
            logins, accounts, tokens, proxies, lambda: journal.installation, self._is_database_away
        )
        api = Api(queries, self._changes, settings.max_returned_values, clock)
        login = LoginPage(access, self._first_user)
        status = StatusPage(sensors, journal, health, base_topic, clock)
        self._offered = table(status, health, login, api)
        forms = {"/login": login.log_in, "/logout": login.log_out}
        rate = partial(rate_at, is_night, clock)
        pages = Pages(self._offered, forms, api.endpoints(), access, rate)
        headers = HEADERS | HEADERS_OF_TLS if settings.tls else HEADERS
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


def table(status: StatusPage, health: Health, login: LoginPage, api: Api) -> dict[str, Page]:
    """What each path gives, beside the API."""
    described = json.dumps(document(api.endpoints()))
    return {
        "/": Page(HTML, lambda who: status.html(who.name if who and who.by_cookie else None)),
        "/login": Page(HTML, lambda _: login.html(), needs_login=False),
        "/health": Page(JSON, lambda _: told(health), needs_login=False),
        "/health/details": Page(JSON, lambda _: json.dumps(health.report())),
        "/api/openapi.json": Page(JSON, lambda _: described, needs_login=False),
        "/status.css": asset("text/css; charset=utf-8", "status.css"),
        "/status.js": asset("text/javascript; charset=utf-8", "status.js"),
    }


def told(health: Health) -> str:
    """What anybody may know, on this computer everything; 503 while something is wrong."""
    report = health.report()
    cherrypy.response.status = 200 if report["status"] == "ok" else 503
    if is_local():
        return json.dumps(report)
    stages = {name: {"state": stage["state"]} for name, stage in report["stages"].items()}
    return json.dumps({"status": report["status"], "stages": stages})


def asset(content_type: str, file: str) -> Page:
    """A file of the page; it has nothing to hide."""
    text = (FOLDER / file).read_text(encoding="utf-8")
    return Page(content_type, lambda _: text, needs_login=False, cache_s=DAY_S)
