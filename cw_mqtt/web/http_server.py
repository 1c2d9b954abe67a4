"""An HTTP server for a WSGI application, which no slow or silent caller can hold up.

Two threads lead: they wait for whatever connection has something to say (epoll). The one that is
woken reads what is there, without waiting; when that makes a request whole, it answers it too. So
a request never goes from one thread to another, and a caller who takes his time costs a connection
and no thread.

Who is about to ask the database lets another thread lead. `WORKERS` threads may be there, so that
two are left for what asks nothing of it, whatever becomes of the database. How a connection goes
on is one generator, which says what it waits for; any of the threads carries it on, one at a time.
"""

import errno
import logging
import select
import socket
import ssl
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from cw_mqtt.web.http_caller import Caller, Result, Steps, Wants, linger, request_of, send, tried
from cw_mqtt.web.http_connection import (
    Environ,
    Headers,
    RefusedRequestError,
    Request,
    environ_of,
)

log = logging.getLogger(__name__)

WORKERS, QUICK_WORKERS = 6, 2
MOST_WAITING_REQUESTS = 32
MOST_CONNECTIONS = 128
MOST_OF_ONE_ADDRESS = 32
HANDS_SHAKEN_WITHIN_S = 10.0
ALONE_WITHIN_S = 0.02  # Python does one thing at a time: who is quick is quicker alone
SWEEP_EVERY_S = 0.2  # at deadlines, and whether it is to end
END_WITHIN_S = 0.3
TLS_HANDSHAKE = b"\x16"  # RFC 8446, 5.1

NO_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nThis port speaks TLS: begin the address with https://\n"

Application = Callable[..., Iterable[bytes]]


def listen(address: tuple[str, int]) -> socket.socket:
    """The port, taken for us. Raises `OSError` when it cannot be had."""
    host, port = address
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    both = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=found[0][0], backlog=64, dualstack_ipv6=both)


class Answer:
    """What the application says to a request; a body without a known length comes in parts."""

    def __init__(self, application: Application, environ: Environ) -> None:
        self._answer = application(environ, self._start)
        self.parts: Iterator[bytes] = filter(None, self._answer)
        self.is_whole = any(name.lower() == "content-length" for name, _ in self.headers)
        self.body = b""
        if self.is_whole:
            self.body = b"".join(self.parts)
            self.close()

    def _start(self, status: str, headers: Headers, _error: object = None) -> None:
        self.status, self.headers = int(status[:3]), headers

    def close(self) -> None:
        """Tell the application that nothing more is wanted."""
        if close := getattr(self._answer, "close", None):
            close()


class HttpServer:
    """Serves `application` at the port `listening`; `is_quick`: which requests ask no database.

    It serves once: a thread that is left behind in a long question belongs to no later server.
    `headers` belong to the answers that no application made. `tls` may be replaced at any time:
    connections that are open go on with what they began with.
    """

    def __init__(
        self,
        listening: socket.socket,
        application: Application,
        is_quick: Callable[[Environ], bool],
        headers: Mapping[str, str],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.tls = tls
        self._listening = listening
        self._application = application
        self._is_quick = is_quick
        self._headers = headers
        self._lock = threading.Lock()
        self._alone = threading.Lock()
        self._callers: dict[int, Caller] = {}  # by their descriptors
        self._counted: set[Caller] = set()  # those of them that were not sent away
        self._waiting: deque[Caller] = deque()  # for their turn
        self._next: deque[Caller] = deque()  # who have it
        self._busy = self._had_turns = self._seen_turns = 0
        self._is_ending = False
        self._leaders = threading.Semaphore(QUICK_WORKERS)
        self._thread = threading.local()
        self._epoll = select.epoll()

    def serve(self, stopping: threading.Event, look: Callable[[], None]) -> None:
        """Answer until `stopping`, then finish within a moment; closes the port.

        `look` is called again and again between, by the calling thread.
        """
        ending, end = socket.socketpair()
        with self._listening, ending, end, self._epoll:
            self._listening.settimeout(0)
            self._epoll.register(ending, select.EPOLLIN)  # all threads are told
            self._epoll.register(self._listening, select.EPOLLIN | select.EPOLLONESHOT)
            threads = [
                threading.Thread(target=self._work, name=f"web {number}", daemon=True)
                for number in range(WORKERS + QUICK_WORKERS)
            ]
            for thread in threads:
                thread.start()
            try:
                while not stopping.is_set():
                    self._look_after_deadlines()
                    look()
                    stopping.wait(SWEEP_EVERY_S)
            finally:
                self._is_ending = True
                end.close()
                self._leaders.release(len(threads))  # who waits to lead, ends too
                self._finish(threads)

    def moves(self) -> bool:
        """Whether a thread is free for the database, or has been since the last time."""
        before, self._seen_turns = self._seen_turns, self._had_turns
        return self._busy < WORKERS or before != self._seen_turns

    def _finish(self, threads: Iterable[threading.Thread]) -> None:
        """Let who is being answered come to the end, and nobody else."""
        end_s = time.monotonic() + END_WITHIN_S
        for thread in threads:
            thread.join(max(0.0, end_s - time.monotonic()))
        for caller in list(self._callers.values()):
            caller.is_late = True
            caller.socket.close()
        with suppress(OSError):
            while True:  # who stands at the door
                self._listening.accept()[0].close()

    def _work(self) -> None:
        """Carry on whoever has something to say, until the end."""
        while not self._is_ending:
            self._lead()
            with suppress(OSError, ValueError):  # the end closes what it waits for
                for descriptor, _ in self._epoll.poll(maxevents=1):
                    if caller := self._callers.get(descriptor):
                        self._carry_on(caller)
                    elif descriptor == self._listening.fileno():
                        self._let_in()

    def _lead(self) -> None:
        """Wait to be one of those few that look after all connections."""
        if not getattr(self._thread, "leads", False):
            self._leaders.acquire()
            self._thread.leads = True

    def _follow(self) -> None:
        """Let another thread look after the connections: this one may take long."""
        if getattr(self._thread, "leads", False):
            self._thread.leads = False
            self._leaders.release()

    def _carry_on(self, caller: Caller) -> None:
        """Go on with a connection, then with those whose turn has come meanwhile."""
        self._next.append(caller)
        with suppress(IndexError):
            while True:
                self._go_on(self._next.popleft())

    def _go_on(self, caller: Caller) -> None:
        """Go on until it waits. Then another thread may have it: that comes last."""
        for wants in caller.steps or ():
            if wants is not Wants.TURN:
                self._await(caller, wants.value | select.EPOLLONESHOT)
                return
            with self._lock:
                if self._busy == WORKERS:
                    self._waiting.append(caller)
                    return
                self._busy += 1

    def _await(self, caller: Caller, events: int) -> None:
        with suppress(OSError, ValueError):  # the end has closed it
            if caller.is_registered:
                self._epoll.modify(caller.socket, events)
            else:
                caller.is_registered = True
                self._epoll.register(caller.socket, events)

    def _let_in(self) -> None:
        """Take one caller; epoll tells again while others stand at the door."""
        try:
            with self._lock:  # who came first waits longest
                taken, address = self._listening.accept()
                taken.settimeout(0)
                taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                caller = Caller(taken, address[:2], taken.getsockname()[:2], time.monotonic())
                caller.steps = self._converse(caller)
                self._make_room(address[0])
                self._counted.add(caller)
                self._callers[taken.fileno()] = caller
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self._open_door()  # else `_look_after_deadlines` does it
            return
        self._open_door()
        self._carry_on(caller)

    def _open_door(self) -> None:
        with suppress(OSError, ValueError):
            self._epoll.modify(self._listening, select.EPOLLIN | select.EPOLLONESHOT)

    def _make_room(self, address: str) -> None:
        """End the longest waiting connection of this address, or of the one that has most."""
        shares = Counter(caller.address[0] for caller in self._counted)
        if shares[address] < MOST_OF_ONE_ADDRESS:
            if len(self._counted) < MOST_CONNECTIONS:
                return
            address = shares.most_common(1)[0][0]
        waiting = {
            caller: caller.waits_since_s
            for caller in self._counted
            if caller.address[0] == address and caller.waits_since_s is not None
        }
        if waiting:
            longest = min(waiting, key=lambda caller: waiting[caller])
            self._counted.discard(longest)
            longest.break_off(socket.SHUT_RDWR)

    def _look_after_deadlines(self) -> None:
        now_s = time.monotonic()
        for caller in list(self._callers.values()):
            if caller.deadline_s is not None and caller.deadline_s < now_s:
                caller.deadline_s, caller.is_late = None, True
                # who does not read gets no more; who does not write can still be told
                caller.break_off(socket.SHUT_RDWR if caller.is_sending else socket.SHUT_RD)
        self._open_door()

    def _converse(self, caller: Caller) -> Steps[None]:
        """The whole life of a connection."""
        try:
            try:
                yield from self._welcome(caller)
                yield from self._answer_all(caller)
            except RefusedRequestError as error:
                yield from send(caller, caller.http.refusal(error, self._headers))
            except ssl.SSLError:
                pass  # no hand was shaken
            yield from linger(caller)
        except OSError:
            pass  # the caller is gone, or takes no answer
        except Exception as error:  # one caller's trouble is nobody else's
            log.error("web: a request could not be answered", exc_info=error)
        finally:
            with self._lock:
                self._counted.discard(caller)
                self._callers.pop(caller.socket.fileno(), None)
            caller.socket.close()

    def _answer_all(self, caller: Caller) -> Steps[None]:
        while request := (yield from request_of(caller)):
            caller.waits_since_s = caller.deadline_s = None
            yield from self._answer(caller, request)
            if self._is_ending or not caller.http.goes_on():
                return
            caller.waits_since_s = time.monotonic()

    def _welcome(self, caller: Caller) -> Steps[None]:
        """Shake hands where TLS is spoken; who speaks plain HTTP is told in plain HTTP."""
        if not (tls := self.tls):
            return
        caller.within(HANDS_SHAKEN_WITHIN_S)
        first = yield from tried(lambda: caller.socket.recv(1, socket.MSG_PEEK))
        if first != TLS_HANDSHAKE:
            caller.socket.send(NO_TLS)
            raise ssl.SSLError
        caller.socket = tls.wrap_socket(
            caller.socket, server_side=True, do_handshake_on_connect=False
        )
        yield from tried(caller.socket.do_handshake)

    def _answer(self, caller: Caller, request: Request) -> Steps[None]:
        by_tls = isinstance(caller.socket, ssl.SSLSocket)
        environ = environ_of(request, caller.address, caller.here, caller.is_gone, by_tls=by_tls)
        http, is_quick = caller.http, self._is_quick(environ)
        if len(self._waiting) >= MOST_WAITING_REQUESTS and not is_quick:
            raise RefusedRequestError(503, "Too many requests wait; try again.")
        answer = yield from self._in_turn(
            lambda: Answer(self._application, environ), is_quick=is_quick
        )
        if answer.is_whole:
            said = http.answer(request, answer.status, answer.headers, answer.body)
            yield from send(caller, said)
            return
        try:
            yield from send(caller, http.begin_answer(answer.status, answer.headers))
            while part := (yield from self._in_turn(lambda: next(answer.parts, None))):
                yield from send(caller, http.part(part))
            yield from send(caller, http.end_answer())
        finally:
            answer.close()

    def _in_turn(self, work: Callable[[], Result], *, is_quick: bool = False) -> Steps[Result]:
        """What `work` gives, done by one of those threads that may ask the database."""
        if is_quick:
            return work()
        yield Wants.TURN
        self._follow()
        is_alone = self._alone.acquire(timeout=ALONE_WITHIN_S)
        try:
            return work()
        finally:
            if is_alone:
                self._alone.release()
            with self._lock:
                self._had_turns += 1
                if self._waiting:
                    self._next.append(self._waiting.popleft())
                else:
                    self._busy -= 1
