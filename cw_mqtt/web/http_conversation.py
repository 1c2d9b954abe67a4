"""One connection's bytes -> whole requests, and answers -> bytes; h11 knows the protocol.

Each wait has a deadline for the whole of what is waited for, however slowly its bytes come.
"""

import asyncio
import io
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

import h11

IDLE_S = 20.0
HEAD_WITHIN_S = 10.0
BODY_WITHIN_S = 10.0
TAKEN_WITHIN_S = 20.0  # each part of an answer
LINGER_S = 5.0
MOST_HEAD_BYTES = 16 * 1024
MOST_HEADERS = 100
MOST_BODY_BYTES = 64 * 1024  # forms: logins, settings of a page
MOST_CHUNKS = 100
TOO_LONG = f"Expected a body of at most {MOST_BODY_BYTES} bytes, in at most {MOST_CHUNKS} chunks."
READ_AT_ONCE = 16 * 1024

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
class Conversation:
    """Requests and answers in turn on one connection.

    `address` is the caller's IP address and port.
    """

    address: tuple[str, int]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    http: h11.Connection = field(
        default_factory=lambda: h11.Connection(h11.SERVER, MOST_HEAD_BYTES)
    )

    def is_gone(self) -> bool:
        """Whether nobody waits for an answer any more; for any thread."""
        return self.reader.at_eof() or self.writer.is_closing()

    async def request(self) -> Request | None:
        """The next request; None when the caller is gone, or has nothing to say for long.

        Raises `RefusedRequestError` for one that cannot be read or does not end in time.
        """
        said = bytearray(self.http.trailing_data[0])
        try:
            if not said:
                async with asyncio.timeout(IDLE_S):
                    await self._hear(said)
        except TimeoutError:
            return None
        try:
            async with asyncio.timeout(HEAD_WITHIN_S):
                head = await self._event(said)
            if not isinstance(head, h11.Request):
                return None
            refuse_doubtful(head, bytes(said))
            if self.http.they_are_waiting_for_100_continue:
                await self.send(CONTINUE)
            async with asyncio.timeout(BODY_WITHIN_S):
                body = await self._body(said)
        except TimeoutError:
            raise RefusedRequestError(408, "The request did not come to its end in time.") from None
        except h11.RemoteProtocolError as error:
            status = 431 if error.error_status_hint == 431 else 400
            said_by_h11 = str(error).partition(":")[0]  # then come the caller's own bytes
            raise RefusedRequestError(status, f"This is not HTTP: {said_by_h11}.") from error
        return Request(head, body)

    async def _body(self, said: bytearray) -> bytes:
        """The body, up to its end."""
        body, pieces = bytearray(), 0
        while isinstance(event := await self._event(said), h11.Data):
            body += event.data
            pieces += event.chunk_start
            if len(body) > MOST_BODY_BYTES or pieces > MOST_CHUNKS:
                raise RefusedRequestError(413, TOO_LONG)
        return bytes(body)

    async def _hear(self, said: bytearray) -> None:
        """Wait for bytes, and add them to what was said of this request."""
        heard = await self.reader.read(READ_AT_ONCE)
        said += heard
        self.http.receive_data(heard)

    async def _event(self, said: bytearray) -> Any:
        """What comes next of a request."""
        while (event := self.http.next_event()) is h11.NEED_DATA:
            await self._hear(said)
        return event

    async def send(self, *events: Any) -> None:
        """Send parts of an answer; returns when most of what was sent has been taken.

        Raises `TimeoutError` or `OSError` when nobody takes it.
        """
        self.writer.write(b"".join(self.http.send(event) or b"" for event in events))
        async with asyncio.timeout(TAKEN_WITHIN_S):
            await self.writer.drain()

    async def send_whole(self, request: Request, head: h11.Response, body: bytes) -> None:
        """Send an answer at once. Raises as `send`."""
        parts = [h11.Data(body)] if body and request.head.method != b"HEAD" else []
        await self.send(head, *parts, h11.EndOfMessage())

    def may_go_on_after(self, request: Request) -> bool:
        """Whether another request may follow this one; none does after chunks.

        A proxy may have taken some of their bytes for the next request.
        """
        is_chunked = any(name == b"transfer-encoding" for name, _ in request.head.headers)
        if is_chunked or not self.http.our_state is self.http.their_state is h11.DONE:
            return False
        self.http.start_next_cycle()
        return True

    def end(self, *, at_once: bool) -> None:
        """End the connection, with a moment for what the caller has not taken yet."""
        self.writer.close()
        asyncio.get_running_loop().call_later(
            0.0 if at_once else LINGER_S, self.writer.transport.abort
        )

    async def refuse(self, error: RefusedRequestError, headers: Mapping[str, str]) -> None:
        """Answer in our words, with `headers`; nothing else can be said after that."""
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
        if self.http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self.send(response(error.status, list(ours.items())), h11.Data(body))

    def environ(self, request: Request) -> Environ:
        """The request as PEP 3333 says it; `cw_mqtt.is_gone` is `is_gone`."""
        head, here = request.head, self.writer.get_extra_info("sockname")
        target = head.target.decode("ascii")
        target = ABSOLUTE.sub("", target)
        if not target.startswith("/"):
            raise RefusedRequestError(400, "The address begins with no /.")
        path, _, query = target.partition("?")
        environ: Environ = {
            "REQUEST_METHOD": head.method.decode("ascii"),
            "SCRIPT_NAME": "",
            # a quoted slash is no slash
            "PATH_INFO": "%2F".join(map(unquoted, SLASH.split(path))),
            "QUERY_STRING": query,
            "SERVER_NAME": here[0],
            "SERVER_PORT": str(here[1]),
            "SERVER_PROTOCOL": f"HTTP/{head.http_version.decode('ascii')}",
            "REMOTE_ADDR": self.address[0],
            "REMOTE_PORT": str(self.address[1]),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https" if self.writer.get_extra_info("ssl_object") else "http",
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "cw_mqtt.is_gone": self.is_gone,
        }
        for raw_name, value in head.headers:
            name = raw_name.decode("ascii").upper().replace("-", "_")
            key = name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"
            before = f"{environ[key]}, " if key in environ else ""
            environ[key] = before + value.decode("latin-1")
        return environ


def refuse_doubtful(head: h11.Request, said: bytes) -> None:
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
        raise RefusedRequestError(400, "A header that may be there once is there twice.")
    if any(b"_" in name for name in names):  # in WSGI the same as one with -
        raise RefusedRequestError(400, "The name of a header has a _ in it.")
    if b"transfer-encoding" in names and (b"content-length" in names or is_old(head)):
        raise RefusedRequestError(400, "Nobody can be sure where the body ends.")
    length = dict(head.headers).get(b"content-length", b"0").lstrip(b"0")
    if len(length) > len(str(MOST_BODY_BYTES)) or int(length or 0) > MOST_BODY_BYTES:
        raise RefusedRequestError(413, TOO_LONG)


def is_old(head: h11.Request) -> bool:
    """Whether it is HTTP/1.0, which knows no chunks."""
    return head.http_version != b"1.1"


def unquoted(part: str) -> str:
    """A part of a path as PEP 3333 wants it: bytes, as Latin-1."""
    return unquote_to_bytes(part).decode("latin-1")


def response(status: int, headers: Headers) -> h11.Response:
    """The head of an answer."""
    return h11.Response(status_code=status, reason=HTTPStatus(status).phrase, headers=list(headers))
