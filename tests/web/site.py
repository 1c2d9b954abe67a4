"""A web server in its stage, and how tests call it."""

import base64
import http.client
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Engine

from cw_mqtt.config.settings import CertificateSettings, WebSettings
from cw_mqtt.journal.journal import Journal
from cw_mqtt.model import Event
from cw_mqtt.runtime.health import Health
from cw_mqtt.runtime.stages import Stage
from cw_mqtt.store.users import Accounts, Tokens
from cw_mqtt.store.web_queries import WebQueries
from cw_mqtt.web.page.rendering import ADDRESSES
from cw_mqtt.web.server import WebServer
from tests.settings import SENSOR, settings
from tests.waiting import DEADLINE_S, wait_until

ADA = ("ada", "correct horse: battery")
NOW_TS = 1_800_000_000.0
CSS, JS = ADDRESSES["page.css"], ADDRESSES["page.js"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Message
    text: str


def sensor(slug: str, name: str) -> dict[str, Any]:
    return {**SENSOR, "slug": slug, "name": name}


class Site:
    """A web server that runs from its making to the end of its `with`."""

    def __init__(
        self,
        journal: Journal,
        health: Health,
        port: int,
        *,
        sensors: Sequence[Mapping[str, Any]] = (SENSOR,),
        engine: Engine,
        queries: WebQueries | None = None,
        is_night: Callable[[int], bool] = lambda ts: False,
        tls: CertificateSettings | None = None,
        trusted_proxies: Sequence[str] = (),
        base_path: str = "",
        tell: Callable[[Event], None] = lambda event: None,
        clock: Callable[[], float] = lambda: NOW_TS,
        **changes: Any,
    ) -> None:
        self.port = port
        self.health = health
        self.accounts = Accounts(engine)
        self.tokens = Tokens(engine)
        web = WebSettings(
            host="127.0.0.1",
            port=port,
            tls=tls,
            trusted_proxies=tuple(trusted_proxies),
            base_path=base_path,
        )
        its = settings(Path("unused"), sensors=sensors, mqtt={}, **changes)
        self._server = WebServer(
            web,
            its,
            journal=journal,
            health=health,
            queries=queries or WebQueries(engine, its, clock),
            is_night=is_night,
            accounts=self.accounts,
            tokens=self.tokens,
            tell=tell,
            clock=clock,
        )
        self.start()

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> "Site":
        """Start, again after a stop."""
        self.stage = Stage(self._server, self.health)
        self.stage.start()
        return self

    def stop(self) -> None:
        """Stop as the bridge does."""
        self.stage.ask_to_stop()
        assert self.stage.join(DEADLINE_S)

    @property
    def state(self) -> str:
        return self.health.stages()["web"].state

    @property
    def reason(self) -> str:
        return self.health.stages()["web"].reason or ""

    def wait(self, state: str = "working", reason: str = "") -> "Site":
        wait_until(lambda: self.state == state and reason in self.reason)
        return self

    def call(
        self,
        path: str,
        login: tuple[str, str] | None = ADA,
        method: str = "GET",
        body: str | bytes = "",
        headers: Mapping[str, str] = {},
    ) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        headers = dict(headers)
        if login:
            credentials = base64.b64encode(":".join(login).encode()).decode()
            headers["Authorization"] = f"Basic {credentials}"
        try:
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read().decode())
        finally:
            connection.close()

    def raw_headers(self, path: str, headers: Mapping[str, str]) -> Message:
        """The headers of an answer whose body may be compressed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            connection.request("GET", path, None, dict(headers))
            response = connection.getresponse()
            response.read()
            return response.headers
        finally:
            connection.close()

    def raw(self, request: str) -> str:
        """The first line that the server answers to these very bytes."""
        return self.raw_answers(request, first_line=True)

    def raw_answers(self, request: str, *, first_line: bool = False) -> str:
        """All that the server answers to these very bytes, until it closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S) as connection:
            connection.sendall(request.encode())
            answers = connection.makefile(errors="replace")
            return answers.readline().strip() if first_line else answers.read()


class Browser:
    """Somebody at a site: asks for HTML, keeps the cookie, and follows nothing by itself."""

    def __init__(self, site: Site) -> None:
        self.cookie = ""
        self.set_cookie = ""
        self._site = site

    def get(self, path: str, **headers: str) -> Answer:
        return self._call("GET", path, "", headers)

    def post(self, path: str, fields: Mapping[str, str] = {}, **headers: str) -> Answer:
        return self._call("POST", path, urlencode(fields), headers)

    def log_in(self, password: str = ADA[1], target: str = "/") -> Answer:
        fields = {"login": ADA[0], "password": password, "next": target}
        return self.post("/login", fields)

    def _call(self, method: str, path: str, body: str, headers: Mapping[str, str]) -> Answer:
        usual = {"Accept": "text/html,*/*;q=0.8", "Cookie": self.cookie}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self._site.call(path, None, method, body, {**usual, **named})
        if set_cookie := answer.headers["Set-Cookie"]:
            self.set_cookie = set_cookie
            self.cookie = set_cookie.partition(";")[0]
        return answer
