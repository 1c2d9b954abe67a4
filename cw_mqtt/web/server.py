"""The web as a stage: cheroot listens, CherryPy answers.

Import it late, and only when the web is on: with CherryPy it takes some 10 MB.
"""

import json
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from cw_mqtt.config.settings import CertificateSettings, SensorSettings, WebSettings
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.health import Health
from cw_mqtt.journal import Journal
from cw_mqtt.web.api import Api, Archive
from cw_mqtt.web.auth import Accounts, Logins, Tokens
from cw_mqtt.web.connections import HttpServer, TlsAdapter
from cw_mqtt.web.first_user import FirstUser
from cw_mqtt.web.gate import Gate
from cw_mqtt.web.login import LoginPage
from cw_mqtt.web.openapi import document
from cw_mqtt.web.pages import HTML, JSON, Page, Pages, application
from cw_mqtt.web.proxies import Proxies
from cw_mqtt.web.status import FOLDER, StatusPage

LOOK_EVERY_S = 1.0
DAY_S = 86400


class WebServer:
    """Serves the status page, the API and `/health` (a `stages.Service`).

    `archive`, `accounts` and `tokens` ask the database and raise `ResourceAwayError` when it is
    away. `is_night` says whether a second is in the night tariff.
    `base_topic` is the MQTT one, None when nothing is published.
    """

    name = "web"
    longest_pause_s = 10.0

    def __init__(
        self,
        settings: WebSettings,
        *,
        sensors: Sequence[SensorSettings],
        journal: Journal,
        health: Health,
        archive: Archive,
        is_night: Callable[[int], bool],
        accounts: Accounts,
        tokens: Tokens,
        base_topic: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        status = StatusPage(sensors, journal, health, base_topic, clock)
        api = Api(archive, settings.max_returned_values, clock)
        gate = Gate(Logins(accounts), accounts, tokens, Proxies(settings.trusted_proxies))
        self._first_user = FirstUser(accounts)
        login = LoginPage(gate, self._first_user)
        pages = Pages(
            table(status, health, login, api),
            {"/login": login.log_in, "/logout": login.log_out},
            api.endpoints(),
            gate,
            lambda: "night" if is_night(int(clock())) else "day",
        )
        self._settings = settings
        self._server = HttpServer((settings.host, settings.port), application(pages))

    def serve(self, stopping: threading.Event, works: Callable[[], None]) -> None:
        """Listen and answer until `stopping`.

        Raises `ResourceAwayError` when the port or the certificate cannot be used.
        """
        self._listen()
        works()
        serving = threading.Thread(target=self._server.serve, name="web accept", daemon=True)
        serving.start()
        try:
            first_user_announced = False
            while serving.is_alive() and not stopping.wait(LOOK_EVERY_S):
                first_user_announced = first_user_announced or self._announce_first_user()
        finally:
            self._server.stop()

    def wake(self) -> None:
        """Nothing to do: `serve` waits for `stopping` itself."""

    def _announce_first_user(self) -> bool:
        """Print the code when it is needed; false while the database does not say whether."""
        with suppress(ResourceAwayError):
            self._first_user.is_wanted()
            return True
        return False

    def _listen(self) -> None:
        server, settings = self._server, self._settings
        server.ssl_adapter = certificate(settings.tls) if settings.tls else None
        try:
            server.prepare()
        except OSError as error:
            reason = server.refusal.strerror if server.refusal else error
            raise ResourceAwayError(
                f"cannot listen on {settings.host}:{settings.port}: {reason}; change web.port "
                "(or web.host), or stop the program that holds it"
            ) from error


def table(status: StatusPage, health: Health, login: LoginPage, api: Api) -> dict[str, Page]:
    """What each path gives, beside the API."""
    described = json.dumps(document(api.endpoints()))
    return {
        "/": Page(HTML, lambda who: status.html(who.name if who and who.by_cookie else None)),
        "/login": Page(HTML, lambda _: login.html(), needs_login=False),
        "/health": Page(JSON, lambda _: json.dumps(health.report()), needs_login=False),
        "/api/openapi.json": Page(JSON, lambda _: described, needs_login=False),
        "/status.css": asset("text/css; charset=utf-8", "status.css"),
        "/status.js": asset("text/javascript; charset=utf-8", "status.js"),
    }


def asset(content_type: str, file: str) -> Page:
    """A file of the page; it has nothing to hide."""
    text = (FOLDER / file).read_text(encoding="utf-8")
    return Page(content_type, lambda _: text, needs_login=False, cache_s=DAY_S)


def certificate(settings: CertificateSettings) -> Any:
    """cheroot's TLS with the configured files, read anew at each start.

    Raises `ResourceAwayError` when they cannot be used.
    """
    try:
        return TlsAdapter(
            str(settings.cert),
            settings.key and str(settings.key),
            private_key_password=settings.passphrase,
        )
    except OSError as error:
        raise ResourceAwayError(
            f"cannot use web.tls ({settings.cert}, {settings.key}): {error.strerror or error}"
            f"{settings.doubt}"
        ) from error
