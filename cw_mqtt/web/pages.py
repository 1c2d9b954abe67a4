"""The CherryPy application: which path gives what, to whom, and how errors look."""

import gzip
import html
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import cherrypy
from cherrypy.lib.cptools import log_traceback
from pydantic_core import to_json

from cw_mqtt.bounds import is_unwanted
from cw_mqtt.errors import BusyError, ResourceAwayError
from cw_mqtt.records import Author
from cw_mqtt.web.access import (
    BASE,
    RAW_COOKIE,
    SCRIPT_HEADER,
    Access,
    Caller,
    NotLetInError,
    refuse_change,
    refuse_other_sites,
)
from cw_mqtt.web.auth import TooManyGuessesError
from cw_mqtt.web.credentials import form_fields
from cw_mqtt.web.endpoints import Call, Endpoint, Kind, RefusedError, find_call
from cw_mqtt.web.login import login_address, see
from cw_mqtt.web.page.rendering import language, render, switch_language

PAGE_METHODS = ("GET", "HEAD")
API_METHODS = ("GET", "HEAD", "POST")
JSON = "application/json"
HTML = "text/html; charset=utf-8"
ROWS_A_PART = 500
COMPRESSED_FROM = 1024
GZIP_LEVEL = 6
FOR_PROGRAMS = ("/api", "/health", "/live")

Body = bytes | Iterator[bytes]

HEADERS = {
    "Server": "cw-mqtt",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
HEADERS_OF_TLS = {"Strict-Transport-Security": "max-age=31536000"}


@dataclass(frozen=True, slots=True)
class Page:
    """What one path answers; `cache_s` is for what changes only with its address.

    `body` is told who asks, None when anybody may. What `has_secrets` is never compressed: who
    sees the length of an answer and can put words into it would guess them one by one.
    """

    content_type: str
    body: Callable[[Caller | None], str]
    needs_login: bool = True
    cache_s: int = 0
    has_secrets: bool = False


class Pages:
    """A CherryPy dispatcher: finds what a path gives, then lets its caller in or not.

    `forms` are what a POST to a path does with its fields; `rate` says "day" or "night".
    """

    def __init__(
        self,
        pages: Mapping[str, Page],
        forms: Mapping[str, Callable[[Mapping[str, str]], str]],
        endpoints: Sequence[Endpoint],
        access: Access,
        rate: Callable[[], str],
    ) -> None:
        self._pages = pages
        self._forms = forms
        self._endpoints = endpoints
        self._access = access
        self._rate = rate

    def __call__(self, path: str) -> None:
        """Choose what handles the request: routing comes before credentials."""
        request = cherrypy.serving.request
        # nothing of `cherrypy.config`: its tools log an error's request headers, and so passwords
        request.config = {}
        # of // CherryPy makes one
        offers = {} if "//" in request.wsgi_environ["PATH_INFO"] else self._offers(path)
        if not offers:
            request.handler = cherrypy.HTTPError(404, "There is nothing at this address.")
        elif answer := offers.get(request.method):
            request.handler = lambda: with_our_errors(answer)
        else:
            cherrypy.response.headers["Allow"] = ", ".join(offers)
            request.handler = cherrypy.HTTPError(405, f"Only {', '.join(offers)} work here.")

    def _offers(self, path: str) -> dict[str, Callable[[], Body]]:
        """What each method does at a path; empty when nothing is there."""
        offers: dict[str, Callable[[], Body]] = {}
        if page := self._pages.get(path) or self._pages.get(family(path)):
            offers |= dict.fromkeys(PAGE_METHODS, lambda: self._page(page))
        if form := self._forms.get(path):
            offers["POST"] = lambda: self._form(form)
        if not offers and (call := find_call(self._endpoints, path)):
            offers = dict.fromkeys(API_METHODS, lambda: self._call(call))
        return offers

    def _page(self, page: Page) -> bytes:
        if target := switch_language():
            return answered(HTML, see(target))
        caller = self._access.require({}) if page.needs_login else None
        body = answered(page.content_type, page.body(caller), page.cache_s)
        return body if page.has_secrets else compressed(body)

    def _form(self, form: Callable[[Mapping[str, str]], str]) -> bytes:
        refuse_other_sites()
        return answered(HTML, form(posted_fields()))

    def _call(self, call: Call) -> Body:
        method, is_change = cherrypy.request.method, call.endpoint.kind is Kind.CHANGE
        caller = self._access.require(posted_fields() if method == "POST" else {})
        if is_change:
            refuse_change(caller)
        by = Author(caller.name, self._access.address())
        rate = {} if call.endpoint.kind is Kind.SETTING else {"rate": self._rate()}
        asked = is_unwanted.set(cherrypy.request.wsgi_environ["cw_mqtt.is_gone"])
        try:
            # who only looks changes nothing (RFC 9110, 9.2.1)
            data = None if is_change and method == "HEAD" else call.answer(by)
            if isinstance(data, Iterator):
                return listed(data, rate)
        finally:
            is_unwanted.reset(asked)
        return answered(JSON, json.dumps({"data": data, **rate}))


def family(path: str) -> str:
    """The entry for all paths like this one: `/day/*` of `/day/2026-11-25`."""
    _, first, *rest = path.split("/")
    return f"/{first}/*{'.csv' * path.endswith('.csv')}" if rest else ""


class TryLaterError(cherrypy.HTTPError):  # type: ignore[misc]  # CherryPy has no types
    """A refusal for now, with the seconds to wait."""

    def __init__(self, status: int, text: str, pause_s: int = 1) -> None:
        super().__init__(status, text)
        self._pause_s = pause_s

    def set_response(self) -> None:
        """See `cherrypy.HTTPError.set_response`, which removes such headers."""
        super().set_response()
        cherrypy.response.headers["Retry-After"] = str(self._pause_s)


def with_our_errors(answer: Callable[[], Body]) -> Body:
    """What `answer` gives, or raises as an error of HTTP."""
    try:
        return answer()
    except NotLetInError as error:
        return not_let_in(error)
    except TooManyGuessesError as error:
        raise TryLaterError(429, str(error), error.pause_s) from error
    except RefusedError as error:
        kind = TryLaterError if error.status == 503 else cherrypy.HTTPError
        raise kind(error.status, str(error)) from error
    except (BusyError, ResourceAwayError) as error:
        raise TryLaterError(503, str(error)) from error


def not_let_in(error: NotLetInError) -> bytes:
    """Send people to the login page, and tell programs what is wrong."""
    request, headers = cherrypy.request, cherrypy.request.headers
    if request.method == "POST":
        raise cherrypy.HTTPError(403, str(error))
    if "text/html" in headers.get("Accept", "") and "Authorization" not in headers:
        path = request.path_info + f"?{request.query_string}" * bool(request.query_string)
        return answered(HTML, see(login_address(path)))
    # browsers ask for a password by themselves where Basic is offered
    scheme = "Bearer" if SCRIPT_HEADER in headers else "Basic"
    challenge = f'{scheme} realm="cw_mqtt"' + ', charset="UTF-8"' * (scheme == "Basic")
    cherrypy.response.headers["WWW-Authenticate"] = challenge
    raise cherrypy.HTTPError(401, str(error))


def answered(content_type: str, text: str, cache_s: int = 0) -> bytes:
    """A body with what belongs to it."""
    caching = f"max-age={cache_s}, immutable" if cache_s else "no-store"
    cherrypy.response.headers.update({"Content-Type": content_type, "Cache-Control": caching})
    return text.encode()


def compressed(body: bytes) -> bytes:
    """The same in a fifth of its length, if it is long and its caller can read that."""
    headers = cherrypy.response.headers
    headers["Vary"] = "Accept-Encoding, Accept-Language, Cookie"
    if len(body) <= COMPRESSED_FROM or not takes_gzip(
        cherrypy.request.headers.get("Accept-Encoding", "")
    ):
        return body
    headers["Content-Encoding"] = "gzip"
    return gzip.compress(body, GZIP_LEVEL, mtime=0)


def takes_gzip(accept_encoding: str) -> bool:
    """Whether a caller names gzip, and not to refuse it (RFC 9110, 12.5.3)."""
    for part in accept_encoding.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def listed(rows: Iterator[Any], rate: Mapping[str, str]) -> Body:
    """A list as JSON; a long one comes in parts, so that it is never in memory as a whole."""
    first = list(islice(rows, ROWS_A_PART))
    if len(first) < ROWS_A_PART:
        return answered(JSON, as_json({"data": first, **rate}))
    answered(JSON, "")
    cherrypy.response.stream = True
    return in_parts(first, rows, as_json(rate))


def in_parts(first: list[Any], others: Iterator[Any], rate: str) -> Iterator[bytes]:
    """The bytes of `{"data":[...],"rate":...}`, as `as_json` would write it."""
    yield f'{{"data":{as_json(first)[:-1]}'.encode()
    while some := list(islice(others, ROWS_A_PART)):
        yield f",{as_json(some)[1:-1]}".encode()
    yield f"],{rate[1:]}".encode()


def as_json(value: Any) -> str:
    """JSON of what has no texts but in ASCII; Python's own module takes three times as long."""
    return to_json(value).decode()


def posted_fields() -> dict[str, str]:
    """The fields of the request's form."""
    request = cherrypy.request
    return form_fields(request.headers.get("Content-Type", ""), request.rfile.read())


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
    return render("error.html", language(), status, message=message)


class Request(cherrypy.Application.request_class):  # type: ignore[misc]  # CherryPy has no types
    """A request whose errors look like ours, also those before a page is found."""

    error_page: Mapping[str, Callable[..., str]] = {"default": error_page}
    show_tracebacks = False
    process_request_body = False
    hooks = cherrypy.Application.request_class.hooks.copy()
    hooks.attach("before_error_response", log_traceback)


def application(
    pages: Pages, headers: Mapping[str, str], base_of: Callable[[str, str], str]
) -> Callable[..., Any]:
    """The WSGI application that serves `pages`, with `headers` on every answer.

    `base_of` takes the address of who connects and its `X-Forwarded-Prefix`, and gives the path
    below which this site is for the caller. The path of a request may begin with it or not.
    """
    cherrypy.log.screen = False
    served = cherrypy.Application(None, "", {"/": {"request.dispatch": pages}})
    served.request_class = Request
    served.toolboxes = {}
    # for redirects inside, which we have none of; it would also end a list that fails as if whole
    served.wsgiapp.pipeline.clear()
    served.log.access = lambda: None  # formatted for nobody, it took a tenth of the time

    def with_headers(environ: Any, start_response: Any) -> Any:
        """Put them on every answer, whatever made it."""
        base = base_of(environ["REMOTE_ADDR"], environ.get("HTTP_X_FORWARDED_PREFIX", ""))
        environ[BASE] = base
        if environ["PATH_INFO"].startswith(f"{base}/"):
            environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix(base)
        # CherryPy refuses the whole request when another program of this host set a strange one
        environ[RAW_COOKIE] = environ.pop("HTTP_COOKIE", "")
        # and fails on words that are encoded as in a mail, and wrongly; HTTP has none
        for name in [name for name in environ if name.startswith(("HTTP_", "CONTENT_"))]:
            if "=?" in environ[name]:
                del environ[name]

        def start(status: str, theirs: list[tuple[str, str]], exc_info: Any = None) -> Any:
            others = [(name, value) for name, value in theirs if name not in headers]
            return start_response(status, others + list(headers.items()), exc_info)

        return served(environ, start)

    return with_headers
