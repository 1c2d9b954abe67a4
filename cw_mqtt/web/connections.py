"""cheroot's HTTP server with its gaps closed: silent connections, ambiguous body lengths."""

import io
import logging
import os
import socket
import ssl
from contextlib import suppress
from typing import Any

from cheroot.server import HTTPConnection, HTTPRequest
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

log = logging.getLogger(__name__)

THREADS = 6
MOST_WAITING_REQUESTS = 32
MOST_IDLE_CONNECTIONS = 64
CALLER_TIMEOUT_S = 10  # for the next bytes of a caller who has begun
MOST_HEADER_BYTES = 16 * 1024
MOST_BODY_BYTES = 1024 * 1024

NO_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nThis port speaks TLS: begin the address with https://\n"

BODY_LENGTHS = {b"Content-Length", b"Transfer-Encoding"}


class Headers(dict[bytes, bytes]):
    """A request's headers; refuses what lets two programs disagree where its body ends.

    A proxy that reads the other of two lengths would let a stranger's bytes pass as the next
    caller's request (RFC 9112, 6.1 and 6.3).
    """

    def __setitem__(self, name: bytes, value: bytes) -> None:
        if name in BODY_LENGTHS and not BODY_LENGTHS.isdisjoint(self):
            raise ValueError("The length of the body is said twice.")
        if name == b"Content-Length" and not value.isdigit():
            raise ValueError("Content-Length is not a number.")
        super().__setitem__(name, value)


class Request(HTTPRequest):
    """A request with such headers."""

    def __init__(self, server: Server, connection: HTTPConnection) -> None:
        super().__init__(server, connection)
        self.inheaders = Headers()

    def read_request_headers(self) -> bool:
        """Refuse chunks where a proxy may not know them; otherwise let them end the connection.

        cheroot takes whatever it did not read of them for the next request.
        """
        is_ready = super().read_request_headers()  # type: ignore[no-untyped-call]  # cheroot's
        self.conn.wfile.flush()  # a 100 Continue, for which the caller waits
        if not is_ready:
            return False
        if b"Transfer-Encoding" in self.inheaders:
            self.close_connection = True
            if self.response_protocol != "HTTP/1.1":
                self.simple_response("400 Bad Request", "HTTP/1.0 has no Transfer-Encoding.")
                return False
        return True


class TlsAdapter(BuiltinSSLAdapter):
    """cheroot's TLS without the handshake, for which it would let everybody else wait."""

    def wrap(self, sock: socket.socket) -> tuple[ssl.SSLSocket, dict[str, str]]:
        """The connection, and what WSGI shall know of it."""
        wrapped = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return wrapped, {"wsgi.url_scheme": "https", "HTTPS": "on"}


class Incoming(socket.SocketIO):
    """What comes from a caller; `may_wait` false gives nothing beyond what is buffered."""

    may_wait = True

    def readinto(self, buffer: Any) -> int | None:
        """See `socket.SocketIO.readinto`."""
        return super().readinto(buffer) if self.may_wait else None


class Reader(io.BufferedReader):
    """Reads requests in C; cheroot's own reader took a quarter of a short call's time."""

    def __init__(self, sock: socket.socket, size: int) -> None:
        self._incoming = Incoming(sock, "r")
        super().__init__(self._incoming, size)

    def has_data(self) -> bool:
        """Whether the beginning of another request is buffered."""
        self._incoming.may_wait = False
        try:
            return bool(self.peek())
        finally:
            self._incoming.may_wait = True


def make_file(sock: socket.socket, mode: str, size: int) -> io.BufferedIOBase:
    """A connection as a file; what is written is sent as a whole when it is flushed."""
    if mode == "rb":
        return Reader(sock, size)
    return io.BufferedWriter(socket.SocketIO(sock, "w"), size)


class Connection(HTTPConnection):
    """A connection of such requests; with TLS it begins by shaking hands."""

    RequestHandlerClass = Request
    is_new = True

    def __init__(self, server: Server, sock: socket.socket, _make_file: object) -> None:
        super().__init__(server, sock, make_file)

    def communicate(self) -> bool:
        """Answer a request; whether the connection stays open. Called in a worker thread."""
        if self.is_new and isinstance(self.socket, ssl.SSLSocket) and not shake_hands(self.socket):
            return False
        self.is_new = False
        stays_open = bool(super().communicate())  # type: ignore[no-untyped-call]  # cheroot's
        try:
            self.wfile.flush()
        except OSError:  # the caller is gone
            return False
        return stays_open


def shake_hands(connection: ssl.SSLSocket) -> bool:
    """Whether both sides agree on TLS; who speaks plain HTTP is told in plain HTTP."""
    try:
        connection.do_handshake()
    except OSError as error:
        if getattr(error, "reason", "") == "HTTP_REQUEST":
            with suppress(OSError):
                os.write(connection.fileno(), NO_TLS)
        return False
    return True


class HttpServer(Server):
    """cheroot with our limits; it may be prepared again after it could not bind."""

    ConnectionClass = Connection
    max_request_header_size = MOST_HEADER_BYTES
    max_request_body_size = MOST_BODY_BYTES
    keep_alive_conn_limit = MOST_IDLE_CONNECTIONS
    refusal: OSError | None = None

    def __init__(self, address: tuple[str, int], application: object) -> None:
        super().__init__(
            address,
            application,
            numthreads=THREADS,
            max=THREADS,
            server_name="cw-mqtt",
            request_queue_size=MOST_WAITING_REQUESTS,
            accepted_queue_size=MOST_WAITING_REQUESTS,
            accepted_queue_timeout=1,
            timeout=CALLER_TIMEOUT_S,
        )
        self.shutdown_timeout = 0.3
        vars(logging)["statistics"].clear()  # there cheroot would keep each server for ever

    def bind(self, family: int, type: int, proto: int = 0) -> object:  # noqa: A002 - its name there
        """Keep why the system refused: `prepare` raises an error that only quotes it."""
        try:
            return super().bind(family, type, proto)
        except OSError as error:
            self.refusal = error
            raise

    def process_conn(self, conn: HTTPConnection) -> None:
        """Let a new connection wait until it says something.

        Browsers open some in advance; cheroot would give each a thread for up to ten seconds.
        """
        is_new = conn.last_used is None
        if is_new and self.can_add_keepalive_connection:
            self.put_conn(conn)
        else:
            super().process_conn(conn)

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:  # noqa: FBT001, FBT002 - called so by cheroot
        """What callers do wrong is no news; what went wrong here is."""
        log.log(level if level >= logging.ERROR else logging.DEBUG, msg, exc_info=traceback)
