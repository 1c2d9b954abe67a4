"""One connection's bytes -> whole requests, and answers -> bytes, without any I/O.

h11 knows the protocol. What two programs may read differently is refused here.
"""

import io
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

import h11

MOST_HEAD_BYTES = 16 * 1024
MOST_HEADERS = 100
MOST_BODY_BYTES = 64 * 1024  # forms: logins, settings of a page
MOST_BODY_CHUNKS = 100
TOO_LONG = (
    f"Expected a body of at most {MOST_BODY_BYTES} bytes, in at most {MOST_BODY_CHUNKS} chunks."
)
NOT_IN_TIME = "The request did not come to its end in time."

# Of two, a proxy might go by the other one; h11 refuses two hosts and two different lengths.
SAID_ONCE = (b"content-type", b"authorization", b"transfer-encoding", b"expect", b"origin")
LENGTH = re.compile(rb"(?im)^content-length")
SLASH = re.compile("%2F", re.IGNORECASE)
ABSOLUTE = re.compile("^https?://[^/?]*")  # before the path, as for a proxy
CONTINUE = h11.InformationalResponse(status_code=100, reason="Continue", headers=[])

Environ = dict[str, Any]
Headers = Sequence[tuple[str, str]]


class RefusedRequestError(Exception):
    """A request that the application never sees; `status` is that of HTTP."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request: its head as it was parsed, and its body."""

    head: h11.Request
    body: bytes


@dataclass(eq=False, slots=True)
class HttpConnection:
    """Requests and answers in turn on one connection.

    `receive` takes bytes, `request` gives a whole request, then the answer's bytes are made, and
    `goes_on` says whether another request may follow. `is_ended`: nobody asks any more.
    """

    is_ended: bool = False
    _http: h11.Connection = field(
        default_factory=lambda: h11.Connection(h11.SERVER, MOST_HEAD_BYTES)
    )
    _said: bytearray = field(default_factory=bytearray)
    _head: h11.Request | None = None
    _body: bytearray = field(default_factory=bytearray)
    _chunks: int = 0

    @property
    def phase(self) -> str:
        """What is awaited: `idle` is before the first byte of a request, then `head`, `body`."""
        if self._head:
            return "body"
        return "head" if self._said else "idle"

    def receive(self, said: bytes) -> None:
        """Take bytes; none at all say that no more will come."""
        if self._head is None:
            self._said += said
        self._http.receive_data(said)

    def request(self) -> Request | None:
        """A request that is here as a whole; None until then, and when nobody asks any more.

        Raises `RefusedRequestError` for one that cannot be read.
        """
        try:
            while (event := self._http.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Request):
                    _refuse_doubtful(event, bytes(self._said))
                    self._head = event
                elif isinstance(event, h11.Data):
                    self._add(event)
                elif isinstance(event, h11.EndOfMessage) and self._head:
                    return Request(self._head, bytes(self._body))
                else:  # the caller has ended his side, or speaks out of turn
                    self.is_ended = True
                    return None
        except h11.RemoteProtocolError as error:
            status = 431 if error.error_status_hint == 431 else 400
            said_by_h11 = str(error).partition(":")[0]  # then come the caller's own bytes
            raise RefusedRequestError(status, f"This is not HTTP: {said_by_h11}.") from error
        return None

    def invitation(self) -> bytes:
        """What a caller waits for who asks whether the body may come (100 Continue)."""
        if self._head and self._http.they_are_waiting_for_100_continue:
            return self._http.send(CONTINUE) or b""
        return b""

    def answer(self, request: Request, status: int, headers: Headers, body: bytes) -> bytes:
        """A whole answer; its headers say how long it is.

        h11 would look at each header anew, which takes a tenth of a call's time. Raises
        `ValueError` for one that would be read as two.
        """
        if self._http.their_state is not h11.DONE:  # it must close: so asked, or by HTTP/1.0
            headers = [*headers, ("Connection", "close")]
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        if lines.count("\r") + lines.count("\n") > 2 * len(headers) or "\0" in lines:
            raise ValueError("a header of an answer has a line break or a NUL in it")
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{lines}\r\n".encode("ascii")
        return head if request.head.method == b"HEAD" else head + body

    def begin_answer(self, status: int, headers: Headers) -> bytes:
        """The head of an answer."""
        reason = HTTPStatus(status).phrase
        head = h11.Response(status_code=status, reason=reason, headers=list(headers))
        return self._http.send(head) or b""

    def part(self, body: bytes) -> bytes:
        """The next part of an answer's body."""
        return self._http.send(h11.Data(body)) or b""

    def end_answer(self) -> bytes:
        """The end of an answer."""
        return self._http.send(h11.EndOfMessage()) or b""

    def goes_on(self) -> bool:
        """Whether another request may follow the answer; none does after chunks.

        A proxy may have taken some of their bytes for the next request.
        """
        head = self._head
        if not head or any(name == b"transfer-encoding" for name, _ in head.headers):
            return False
        if self._http.their_state is not h11.DONE:  # then it must close
            return False
        rest = self._http.trailing_data[0]
        self._head, self._body, self._said = None, bytearray(), bytearray()
        self._http = h11.Connection(h11.SERVER, MOST_HEAD_BYTES)
        if rest:
            self.receive(rest)
        return True

    def refusal(self, error: RefusedRequestError, headers: Mapping[str, str]) -> bytes:
        """The answer in our words, with `headers`; nothing else can be said after that."""
        body = json.dumps({"data": None, "error": str(error)}).encode()
        ours = {
            **headers,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Connection": "close",
        }
        if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
            ours["Retry-After"] = "1"
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return b""
        return self.begin_answer(error.status, list(ours.items())) + self.part(body)

    def _add(self, data: h11.Data) -> None:
        self._body += data.data
        self._chunks += data.chunk_start
        if len(self._body) > MOST_BODY_BYTES or self._chunks > MOST_BODY_CHUNKS:
            raise RefusedRequestError(413, TOO_LONG)


def environ_of(
    request: Request,
    caller: tuple[str, int],
    here: tuple[str, int],
    is_gone: Callable[[], bool],
    *,
    by_tls: bool,
) -> Environ:
    """The request as PEP 3333 says it; `cw_mqtt.is_gone` is `is_gone`.

    Raises `RefusedRequestError` for an address that is no path.
    """
    head, (path, query) = request.head, _path_and_query(request.head)
    environ: Environ = {
        "REQUEST_METHOD": head.method.decode("ascii"),
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": here[0],
        "SERVER_PORT": str(here[1]),
        "SERVER_PROTOCOL": f"HTTP/{head.http_version.decode('ascii')}",
        "REMOTE_ADDR": caller[0],
        "REMOTE_PORT": str(caller[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https" if by_tls else "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "cw_mqtt.is_gone": is_gone,
    }
    for name, value in head.headers:
        key = _environ_key(name)
        before = f"{environ[key]}, " if key in environ else ""
        environ[key] = before + value.decode("latin-1")
    return environ


def _path_and_query(head: h11.Request) -> tuple[str, str]:
    target = ABSOLUTE.sub("", head.target.decode("ascii"))
    if not target.startswith("/"):
        raise RefusedRequestError(400, "The path must begin with /.")
    path, _, query = target.partition("?")
    # a quoted slash is no slash
    return "%2F".join(map(_unquoted, SLASH.split(path))), query


def _environ_key(header: bytes) -> str:
    name = header.decode("ascii").upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"


def _refuse_doubtful(head: h11.Request, said: bytes) -> None:
    """Raise `RefusedRequestError` for what is too long, or what two programs may read otherwise.

    `said` begins with the bytes of the head: of two equal lengths h11 gives one.
    """
    names = [name for name, _ in head.headers]
    raw = said.partition(b"\r\n\r\n")[0]
    if len(names) > MOST_HEADERS or len(raw) > MOST_HEAD_BYTES:
        raise RefusedRequestError(431, f"Expected {MOST_HEADERS} headers in 16 KiB at most.")
    if head.http_version not in (b"1.0", b"1.1"):
        raise RefusedRequestError(400, "This server speaks HTTP/1.0 and HTTP/1.1.")
    if any(names.count(name) > 1 for name in SAID_ONCE) or len(LENGTH.findall(raw)) > 1:
        raise RefusedRequestError(400, "A header that may occur once occurs twice.")
    if any(b"_" in name for name in names):  # in WSGI the same as one with -
        raise RefusedRequestError(400, "The name of a header has a _ in it.")
    is_old = head.http_version == b"1.0"  # which knows no chunks
    if b"transfer-encoding" in names and (b"content-length" in names or is_old):
        raise RefusedRequestError(400, "The length of the body is ambiguous.")
    length = dict(head.headers).get(b"content-length", b"0").lstrip(b"0")
    if len(length) > len(str(MOST_BODY_BYTES)) or int(length or 0) > MOST_BODY_BYTES:
        raise RefusedRequestError(413, TOO_LONG)


def _unquoted(part: str) -> str:
    """A part of a path as PEP 3333 wants it: bytes, as Latin-1."""
    return unquote_to_bytes(part).decode("latin-1")
