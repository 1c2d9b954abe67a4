"""The CherryPy application: which path gives what, to whom, and how errors look."""

import html
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cherrypy

from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.web.auth import Login, basic_credentials
from cw_mqtt.web.status import TEMPLATES

METHODS = ("GET", "HEAD")
JSON = "application/json"
HTML = "text/html; charset=utf-8"
FOR_PROGRAMS = ("/api", "/health")

HEADERS = {
    "Server": "cw-mqtt",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}

# Nothing is inherited from `cherrypy.config`: its default tools log an error's request headers,
# and with them the password.
REQUEST_CONFIG = {"tools.log_tracebacks.on": True, "request.process_request_body": False}

NO_ACCOUNT = "There is no account yet. Make one where the bridge runs: cw-mqtt user add NAME"
NO_LOGIN = "A login and its password are needed. cw-mqtt user add NAME makes a new account."
WRONG_LOGIN = "The login or the password is wrong."


@dataclass(frozen=True, slots=True)
class Page:
    """What one path answers; `cache_s` is for what changes only with the version."""

    content_type: str
    body: Callable[[], str]
    needs_login: bool = True
    cache_s: int = 0


class Pages:
    """A CherryPy dispatcher: finds the page of a path, then lets its caller in or not.

    `has_accounts` says whether anybody can log in at all.
    """

    def __init__(
        self, pages: Mapping[str, Page], login: Login, has_accounts: Callable[[], bool]
    ) -> None:
        self._pages = pages
        self._login = login
        self._has_accounts = has_accounts

    def __call__(self, path: str) -> None:
        """Choose what handles the request: routing comes before credentials."""
        request = cherrypy.serving.request
        request.config = REQUEST_CONFIG
        page = self._pages.get(path)
        if page is None:
            request.handler = cherrypy.HTTPError(404, "There is nothing at this address.")
        elif request.method not in METHODS:
            cherrypy.response.headers["Allow"] = ", ".join(METHODS)
            request.handler = cherrypy.HTTPError(405, f"Only {' and '.join(METHODS)} work here.")
        else:
            request.handler = lambda: self._answer(page)

    def _answer(self, page: Page) -> bytes:
        try:
            if page.needs_login:
                self._require_login()
            body = page.body()
        except ResourceAwayError as error:
            raise cherrypy.HTTPError(503, str(error)) from error
        caching = f"max-age={page.cache_s}" if page.cache_s else "no-store"
        cherrypy.response.headers.update(
            {"Content-Type": page.content_type, "Cache-Control": caching}
        )
        return body.encode()

    def _require_login(self) -> None:
        headers = cherrypy.request.headers
        credentials = basic_credentials(headers.get("Authorization"))
        if credentials and self._login.check(*credentials):
            return
        cherrypy.response.headers["WWW-Authenticate"] = 'Basic realm="cw_mqtt", charset="UTF-8"'
        if not self._has_accounts():
            raise cherrypy.HTTPError(401, NO_ACCOUNT)
        raise cherrypy.HTTPError(401, WRONG_LOGIN if credentials else NO_LOGIN)


def error_page(status: str, message: str, **_: str) -> str:
    """The body of an error; it never shows a traceback (the log has it)."""
    # CherryPy has escaped the message for HTML, which is not the only thing made of it here.
    message = html.unescape(message)
    response = cherrypy.response
    response.headers["Cache-Control"] = "no-store"
    if cherrypy.request.path_info.startswith(FOR_PROGRAMS):
        response.headers["Content-Type"] = JSON
        return json.dumps({"data": None, "error": message})
    response.headers["Content-Type"] = HTML
    return TEMPLATES.get_template("error.html").render(status=status, message=message)


class Request(cherrypy.Application.request_class):  # type: ignore[misc]  # CherryPy has no types
    """A request whose errors look like ours, also those before a page is found."""

    error_page: Mapping[str, Callable[..., str]] = {"default": error_page}
    show_tracebacks = False


def application(pages: Pages) -> Callable[..., Any]:
    """The WSGI application that serves `pages`."""
    cherrypy.log.screen = False
    served = cherrypy.Application(None, "", {"/": {"request.dispatch": pages}})
    served.request_class = Request
    served.log.access_log.disabled = True

    def with_headers(environ: Any, start_response: Any) -> Any:
        """On every answer, whatever made it."""

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            others = [(name, value) for name, value in headers if name not in HEADERS]
            return start_response(status, others + list(HEADERS.items()), exc_info)

        return served(environ, start)

    return with_headers
