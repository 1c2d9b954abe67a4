"""The HTTP server: slow, silent and hostile callers keep nobody waiting."""

import gc
import queue
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from cw_mqtt.web import http_caller, http_server
from cw_mqtt.web.http_server import HttpServer, listen
from tests.waiting import DEADLINE_S, wait_until

QUICK = "/quick"


class Application:
    """Answers `/quick` and `/` at once, `/wait` when it is let go, `/parts` without an end."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.waiting = 0
        self.parts_sent = 0
        self.closed = threading.Event()

    def __call__(self, environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/parts":
            start("200 OK", [])
            return self._parts(environ["cw_mqtt.is_gone"])
        if path == "/wait":
            self.waiting += 1
            self.go_on.wait(DEADLINE_S)
        body = environ["wsgi.input"].read() or b"here"
        start("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    def _parts(self, is_gone: Callable[[], bool]) -> Iterator[bytes]:
        try:
            while not is_gone():
                self.parts_sent += 1
                yield b"x" * 65536
        finally:
            self.closed.set()


class Running:
    """A server in a thread of its own, and callers."""

    def __init__(self, application: Application) -> None:
        self._callers = ExitStack()
        listening = listen(("127.0.0.1", 0))
        self.address = listening.getsockname()
        self.server = HttpServer(
            listening,
            application,
            lambda environ: environ["PATH_INFO"] == QUICK,
            {"Server": "cw-mqtt"},
        )
        self._stopping = threading.Event()
        self._looks = queue.SimpleQueue[Callable[[], None]]()
        arguments = self._stopping, self._look
        self._thread = threading.Thread(target=self.server.serve, args=arguments)
        self._thread.start()

    def _look(self) -> None:
        with suppress(queue.Empty):
            self._looks.get_nowait()()

    def call(self, said: bytes) -> socket.socket:
        """A caller who says this, and nothing more."""
        caller = self._callers.enter_context(
            socket.create_connection(self.address, timeout=DEADLINE_S)
        )
        caller.sendall(said)
        return caller

    def answer(self, path: str = "/", **headers: str) -> str:
        """The first line of the answer to a request."""
        lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
        return first_line(
            self.call(f"GET {path} HTTP/1.1\r\nHost: x\r\n{''.join(lines)}\r\n".encode())
        )

    def soon(self, do: Callable[[], None]) -> None:
        """Do something in the server's own thread."""
        self._looks.put(do)

    def end(self) -> None:
        """Ask the server to end."""
        self._stopping.set()

    def join(self) -> None:
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()

    def stop(self) -> None:
        self.end()
        self.join()
        self._callers.close()


def answers_of(caller: socket.socket, most: int) -> int:
    """How many answers come, up to so many."""
    said = b""
    while said.count(b"HTTP/1.1 200 OK") < most and (more := caller.recv(65536)):
        said += more
    return said.count(b"HTTP/1.1 200 OK")


def first_line(caller: socket.socket) -> str:
    with caller.makefile("rb") as answers:
        return answers.readline().decode().strip()


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def running(application: Application) -> Iterator[Running]:
    running = Running(application)
    yield running
    application.go_on.set()
    running.stop()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that has no patience with anybody."""
    for wait in ("IDLE_S", "HEAD_WITHIN_S", "BODY_WITHIN_S", "TAKEN_WITHIN_S"):
        monkeypatch.setattr(http_caller, wait, 0.2)


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost:",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3",
    ],
)
def test_however_many_never_come_to_an_end_others_are_answered(
    running: Running, begun: bytes
) -> None:
    slow = [running.call(begun) for _ in range(200)]

    assert running.answer() == "HTTP/1.1 200 OK"
    assert first_line(slow[0]) == ""


def test_of_one_address_the_longest_waiting_makes_room(running: Running) -> None:
    callers = [running.call(b"") for _ in range(http_server.MOST_OF_ONE_ADDRESS + 1)]

    assert callers[0].recv(1) == b""
    callers[1].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert first_line(callers[1]) == "HTTP/1.1 200 OK"


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("begun", "answer"),
    [
        (b"", ""),
        (b"GET / HTTP/1.1\r\nHost:", "HTTP/1.1 408 Request Timeout"),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
            "HTTP/1.1 408 Request Timeout",
        ),
    ],
)
def test_a_request_has_to_end_in_time_as_a_whole(
    running: Running, begun: bytes, answer: str
) -> None:
    assert first_line(running.call(begun)) == answer


def test_what_asks_no_database_is_answered_while_all_others_wait(
    running: Running, application: Application
) -> None:
    for _ in range(http_server.WORKERS):
        running.call(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(lambda: application.waiting == http_server.WORKERS)

    assert running.answer(QUICK) == "HTTP/1.1 200 OK"


def test_beyond_a_full_queue_callers_are_told_to_come_again(
    running: Running, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "MOST_OF_ONE_ADDRESS", 100)
    for _ in range(http_server.WORKERS + http_server.MOST_WAITING_REQUESTS):
        running.call(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(lambda: len(running.server._waiting) == http_server.MOST_WAITING_REQUESTS)

    assert "503" in running.answer()
    assert running.answer(QUICK) == "HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "line",
    [
        "Content-Length : 0",
        "Content-Length\t: 0",
        "\x0bContent-Length: 0",
        "X: a\0b",
        "Host: y",
        " folded: first",
        "No-Colon",
        "Content_Length: 3",
        "Transfer-Encoding: gzip, chunked",
        "Authorization: a\r\nAuthorization: b",
    ],
)
def test_headers_that_two_programs_may_read_otherwise_are_refused(
    running: Running, line: str
) -> None:
    request = f"GET / HTTP/1.1\r\n{line}\r\nHost: x\r\n\r\n"

    assert first_line(running.call(request.encode())) == "HTTP/1.1 400 Bad Request"


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET / HTTP/2.0", "400 Bad Request"),
        ("GET / HTTP/1.7", "400 Bad Request"),
        ("GET / HTTP/ 1.1", "400 Bad Request"),
        ("GET  / HTTP/1.1", "400 Bad Request"),
        ("GET /\xff HTTP/1.1", "400 Bad Request"),
        ("GET", "400 Bad Request"),
        ("\x16\x03\x01", "400 Bad Request"),
        ("GET http://x/quick?a HTTP/1.1", "200 OK"),
        ("GET http://[/quick HTTP/1.1", "200 OK"),
        ("GET quick HTTP/1.1", "400 Bad Request"),
        ("OPTIONS * HTTP/1.1", "400 Bad Request"),
        ("CONNECT x:80 HTTP/1.1", "400 Bad Request"),
    ],
)
def test_a_first_line_is_understood_or_refused(
    running: Running, request_line: str, status: str
) -> None:
    request = f"{request_line}\r\nHost: x\r\n\r\n"

    assert first_line(running.call(request.encode("latin-1"))) == f"HTTP/1.1 {status}"


def test_too_many_headers_are_refused(running: Running) -> None:
    assert running.answer(**{f"X{n}": "y" for n in range(101)}).startswith("HTTP/1.1 431")


def test_a_long_answer_ends_when_its_caller_leaves(
    running: Running, application: Application
) -> None:
    caller = running.call(b"GET /parts HTTP/1.1\r\nHost: x\r\n\r\n")
    assert first_line(caller) == "HTTP/1.1 200 OK"

    caller.close()

    assert application.closed.wait(DEADLINE_S)


@pytest.mark.usefixtures("hurried")
def test_a_long_answer_that_nobody_takes_ends_and_waits_in_no_memory(
    running: Running, application: Application
) -> None:
    running.call(b"GET /parts HTTP/1.1\r\nHost: x\r\n\r\n")

    assert application.closed.wait(DEADLINE_S)
    assert application.parts_sent < 200  # what the system's own buffers take


def test_who_comes_at_the_last_moment_is_not_left_without_an_end(application: Application) -> None:
    running, callers = Running(application), []

    def come_while_it_ends() -> None:
        callers.extend(running.call(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(3))
        running.end()

    gc.disable()  # which would end a connection that is only forgotten
    try:
        running.soon(come_while_it_ends)
        running.join()
        ends = [ended(caller) for caller in callers]
    finally:
        gc.enable()

    assert ends == [True] * 3
    running.stop()


def ended(caller: socket.socket) -> bool:
    """Whether the server has ended a connection, answered or not; raises when it never does."""
    with suppress(ConnectionError):
        while caller.recv(4096):
            pass
    return True


def test_a_caller_who_ends_his_side_is_answered(running: Running) -> None:
    caller = running.call(b"GET / HTTP/1.0\r\n\r\n")
    caller.shutdown(socket.SHUT_WR)

    assert first_line(caller) == "HTTP/1.1 200 OK"


def test_hundreds_that_had_to_wait_for_their_turn_are_answered_one_after_the_other(
    running: Running, application: Application
) -> None:
    for _ in range(http_server.WORKERS):
        running.call(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(lambda: application.waiting == http_server.WORKERS)
    pipelined = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 200
    callers = [running.call(pipelined) for _ in range(10)]
    wait_until(lambda: len(running.server._waiting) == len(callers))

    application.go_on.set()

    assert [answers_of(caller, 200) for caller in callers] == [200] * len(callers)


def test_a_look_that_fails_ends_the_server_with_all_its_threads(application: Application) -> None:
    server = HttpServer(listen(("127.0.0.1", 0)), application, lambda _: True, {})
    before = set(threading.enumerate())

    def fail() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        server.serve(threading.Event(), fail)

    wait_until(lambda: set(threading.enumerate()) <= before)
