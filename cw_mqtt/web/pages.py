"""The CherryPy application: which path gives what, to whom, and how errors look."""

import html
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cherrypy
from cheroot.errors import MaxSizeExceeded

from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.web.auth import Login, basic_credentials, form_credentials
from cw_mqtt.web.endpoints import Call, Endpoint, Kind, RefusedError, find_call
from cw_mqtt.web.status import TEMPLATES

METHODS = ("GET", "HEAD")
API_METHODS = ("GET", "POST")
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

Credentials = tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Page:
    """What one path answers; `cache_s` is for what changes only with the version."""

    content_type: str
    body: Callable[[], str]
    needs_login: bool = True
    cache_s: int = 0


class Pages:
    """A CherryPy dispatcher: finds what a path gives, then lets its caller in or not.

    `rate` says "day" or "night"; `has_accounts` whether anybody can log in at all.
    """

    def __init__(
        self,
        pages: Mapping[str, Page],
        endpoints: Sequence[Endpoint],
        login: Login,
        rate: Callable[[], str],
        has_accounts: Callable[[], bool],
    ) -> None:
        self._pages = pages
        self._endpoints = endpoints
        self._login = login
        self._rate = rate
        self._has_accounts = has_accounts

    def __call__(self, path: str) -> None:
        """Choose what handles the request: routing comes before credentials."""
        request = cherrypy.serving.request
        request.config = REQUEST_CONFIG
        if page := self._pages.get(path):
            self._offer(METHODS, lambda: self._page(page))
        elif call := find_call(self._endpoints, path):
            self._offer(API_METHODS, lambda: self._call(call))
        else:
            request.handler = cherrypy.HTTPError(404, "There is nothing at this address.")

    def _offer(self, methods: Sequence[str], answer: Callable[[], bytes]) -> None:
        request = cherrypy.serving.request
        if request.method in methods:
            request.handler = lambda: with_our_errors(answer)
        else:
            cherrypy.response.headers["Allow"] = ", ".join(methods)
            request.handler = cherrypy.HTTPError(405, f"Only {' and '.join(methods)} work here.")

    def _page(self, page: Page) -> bytes:
        if page.needs_login:
            self._require_login(header_credentials())
        body = page.body()
        caching = f"max-age={page.cache_s}" if page.cache_s else "no-store"
        cherrypy.response.headers.update(
            {"Content-Type": page.content_type, "Cache-Control": caching}
        )
        return body.encode()

    def _call(self, call: Call) -> bytes:
        if cherrypy.request.method == "POST":
            self._require_login(posted_credentials() or header_credentials(), status=403)
        else:
            self._require_login(header_credentials())
        answer = {"data": call.answer()}
        if call.endpoint.kind is not Kind.SETTING:
            answer["rate"] = self._rate()
        cherrypy.response.headers.update({"Content-Type": JSON, "Cache-Control": "no-store"})
        return json.dumps(answer).encode()

    def _require_login(self, credentials: Credentials, status: int = 401) -> None:
        if credentials and self._login.check(*credentials):
            return
        if status == 401:
            realm = 'Basic realm="cw_mqtt", charset="UTF-8"'
            cherrypy.response.headers["WWW-Authenticate"] = realm
        if not self._has_accounts():
            raise cherrypy.HTTPError(status, NO_ACCOUNT)
        raise cherrypy.HTTPError(status, WRONG_LOGIN if credentials else NO_LOGIN)


def with_our_errors(answer: Callable[[], bytes]) -> bytes:
    """What `answer` gives, or raises as an error of HTTP."""
    try:
        return answer()
    except RefusedError as error:
        raise cherrypy.HTTPError(error.status, str(error)) from error
    except ResourceAwayError as error:
        raise cherrypy.HTTPError(503, str(error)) from error


def header_credentials() -> Credentials:
    """What the request's `Authorization` says."""
    return basic_credentials(cherrypy.request.headers.get("Authorization"))


def posted_credentials() -> Credentials:
    """What the request's form says."""
    try:
        body = cherrypy.request.rfile.read()
    except (MaxSizeExceeded, ValueError, OSError):  # what cheroot's chunks raise
        raise cherrypy.HTTPError(400, "The body is too long, or cannot be read.") from None
    return form_credentials(cherrypy.request.headers.get("Content-Type", ""), body)


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
