"""cheroot's HTTP server with its gaps closed: silent connections, ambiguous body lengths."""

import logging

from cheroot.server import HTTPConnection, HTTPRequest
from cheroot.wsgi import Server

log = logging.getLogger(__name__)

THREADS = 6
MOST_WAITING_REQUESTS = 32
MOST_IDLE_CONNECTIONS = 64
MOST_HEADER_BYTES = 16 * 1024
MOST_BODY_BYTES = 1024 * 1024

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


class Connection(HTTPConnection):
    """A connection of such requests."""

    RequestHandlerClass = Request


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
            timeout=10,
        )
        self.shutdown_timeout = 0.3

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
