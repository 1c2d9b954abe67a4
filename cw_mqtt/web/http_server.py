"""An HTTP server for a WSGI application, which no slow or silent caller can hold up.

One thread reads and writes for everybody (asyncio). A worker gets a whole request, and between
the parts of a long answer it is free for others. Paths that ask nothing of the database have
workers of their own, so that they are answered whatever becomes of the others.
"""

import asyncio
import errno
import logging
import queue
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import h11

from cw_mqtt.web.http_conversation import (
    Conversation,
    Environ,
    Headers,
    RefusedRequestError,
    Request,
    response,
)

log = logging.getLogger(__name__)

WORKERS, QUICK_WORKERS = 6, 2
MOST_WAITING_REQUESTS = 32
MOST_CONNECTIONS = 128
MOST_OF_ONE_ADDRESS = 32
HANDS_SHAKEN_WITHIN_S = 10.0
END_WITHIN_S = 0.3
NO_FILES_LEFT_PAUSE_S = 0.2
TLS_HANDSHAKE = b"\x16"  # RFC 8446, 5.1

NO_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nThis port speaks TLS: begin the address with https://\n"

Result = TypeVar("Result")
Application = Callable[..., Iterable[bytes]]


class Answer:
    """What the application says to a request; a body without a known length comes in parts."""

    def __init__(self, application: Application, environ: Mapping[str, Any]) -> None:
        self._answer = application(environ, self._start)
        self._parts: Iterator[bytes] = filter(None, self._answer)
        self.body = b""
        if self.is_whole:
            self.body = b"".join(self._parts)
            self.close()

    def _start(self, status: str, headers: Headers, _error: object = None) -> None:
        self.head = response(int(status[:3]), headers)
        self.is_whole = any(name.lower() == "content-length" for name, _ in headers)

    def next_part(self) -> bytes | None:
        """The next part of the body, None after the last."""
        return next(self._parts, None)

    def close(self) -> None:
        """Tell the application that nothing more is wanted."""
        if close := getattr(self._answer, "close", None):
            close()


class Workers:
    """Daemon threads that work for the loop; `free` is how many more requests may come."""

    def __init__(self, name: str, threads: int) -> None:
        self.free = threads + MOST_WAITING_REQUESTS
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[tuple[asyncio.Future[Any], Callable[[], Any]] | None]
        self._queue = queue.SimpleQueue()
        for _ in range(threads):
            threading.Thread(target=self._run, name=name, daemon=True).start()

    async def do(self, work: Callable[[], Result]) -> Result:
        """What `work` gives or raises in one of the threads."""
        done: asyncio.Future[Result] = self._loop.create_future()
        self._queue.put((done, work))
        return await done

    def end(self) -> None:
        """Let each thread end after what it has in hand."""
        for _ in range(self._threads):
            self._queue.put(None)

    def _run(self) -> None:
        while job := self._queue.get():
            done, work = job
            try:
                settle, result = done.set_result, work()
            except Exception as error:  # noqa: BLE001 - raised again where it is awaited
                settle, result = done.set_exception, error
            with suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(unless_cancelled, done, settle, result)


def unless_cancelled(
    done: asyncio.Future[Any], settle: Callable[[Any], None], result: object
) -> None:
    """Settle a future for which somebody still waits."""
    if not done.cancelled():
        settle(result)


@dataclass(eq=False, slots=True)
class Place:
    """A connection that is open; `waits_since_s` is None while a request is being answered."""

    address: str
    waits_since_s: float | None
    task: asyncio.Task[None] | None = None


class HttpServer:
    """Serves `application` at `address`; `is_quick` says which requests ask no database.

    `headers` belong to the answers that no application made. `tls` may be replaced at any time:
    connections that are open go on with what they began with.
    """

    def __init__(
        self,
        address: tuple[str, int],
        application: Application,
        is_quick: Callable[[Environ], bool],
        headers: Mapping[str, str],
    ) -> None:
        self.tls: ssl.SSLContext | None = None
        self._address = address
        self._application = application
        self._is_quick = is_quick
        self._headers = headers
        self._places: set[Place] = set()
        self._is_ending = False

    def listen(self) -> socket.socket:
        """The port, taken for us. Raises `OSError` when it cannot be had."""
        host, port = self._address
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        both = host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(
            (host, port), family=found[0][0], backlog=64, dualstack_ipv6=both
        )

    async def serve(self, listening: socket.socket, stopped: asyncio.Event) -> None:
        """Answer until `stopped`, then finish within a moment; closes the port."""
        self._is_ending = False
        self._usual, self._quick = Workers("web", WORKERS), Workers("web quick", QUICK_WORKERS)
        loop = asyncio.get_running_loop()
        with listening:
            listening.settimeout(0)
            loop.add_reader(listening, self._let_in, listening)
            await stopped.wait()
            loop.remove_reader(listening)
        self._is_ending = True
        await asyncio.sleep(0)  # who was let in last begins, so that it ends too
        for place in self._places:
            if place.task and place.waits_since_s is not None:
                place.task.cancel()
        if tasks := [place.task for place in self._places if place.task]:
            await asyncio.wait(tasks, timeout=END_WITHIN_S)
        self._usual.end()
        self._quick.end()  # `asyncio.run` cancels what is left

    async def has_time(self) -> None:
        """Wait until one of the usual workers is free."""
        await self._usual.do(lambda: None)

    def _let_in(self, listening: socket.socket) -> None:
        """Take one caller; the loop asks again while others stand at the door.

        Its own `sock_accept` loses a caller when it is cancelled at that moment.
        """
        loop = asyncio.get_running_loop()
        try:
            caller, address = listening.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                loop.remove_reader(listening)
                loop.call_later(NO_FILES_LEFT_PAUSE_S, self._open_again, listening)
            return
        self._make_room(address[0])
        place = Place(address[0], loop.time())
        self._places.add(place)
        place.task = loop.create_task(self._serve_caller(place, caller, address[:2]))

    def _open_again(self, listening: socket.socket) -> None:
        if not self._is_ending:
            asyncio.get_running_loop().add_reader(listening, self._let_in, listening)

    def _make_room(self, address: str) -> None:
        """End the longest waiting connection of this address, or of the one that has most."""
        shares = Counter(place.address for place in self._places)
        if shares[address] < MOST_OF_ONE_ADDRESS:
            if len(self._places) < MOST_CONNECTIONS:
                return
            address = shares.most_common(1)[0][0]
        waiting = [p for p in self._places if p.address == address and p.waits_since_s is not None]
        if waiting:
            longest = min(waiting, key=lambda place: place.waits_since_s or 0.0)
            self._places.discard(longest)
            if longest.task:
                longest.task.cancel()

    async def _serve_caller(
        self, place: Place, caller: socket.socket, address: tuple[str, int]
    ) -> None:
        conversation = None
        try:
            conversation = await self._welcome(caller, address)
            await self._converse(place, conversation)
        except (OSError, TimeoutError, h11.LocalProtocolError):
            pass  # the caller is gone, or takes no answer
        except Exception as error:  # one caller's trouble is nobody else's
            log.error("web: a request could not be answered", exc_info=error)
        finally:
            self._places.discard(place)
            if conversation:
                conversation.end(at_once=self._is_ending)
            else:
                caller.close()

    async def _welcome(self, caller: socket.socket, address: tuple[str, int]) -> Conversation:
        """Shake hands where TLS is spoken; who speaks plain HTTP is told in plain HTTP."""
        loop = asyncio.get_running_loop()
        if self.tls and await first_byte(caller) != TLS_HANDSHAKE:
            caller.send(NO_TLS)
            raise ConnectionAbortedError
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol,
            caller,
            ssl=self.tls,
            ssl_handshake_timeout=HANDS_SHAKEN_WITHIN_S if self.tls else None,
        )
        return Conversation(
            address, reader, asyncio.StreamWriter(transport, protocol, reader, loop)
        )

    async def _converse(self, place: Place, conversation: Conversation) -> None:
        try:
            while request := await conversation.request():
                place.waits_since_s = None
                await self._answer(conversation, request)
                if not conversation.may_go_on_after(request):
                    return
                place.waits_since_s = asyncio.get_running_loop().time()
        except RefusedRequestError as error:
            await conversation.refuse(error, self._headers)

    async def _answer(self, conversation: Conversation, request: Request) -> None:
        environ = conversation.environ(request)
        workers = self._quick if self._is_quick(environ) else self._usual
        if not workers.free:
            raise RefusedRequestError(503, "Too many requests wait; try again.")
        workers.free -= 1
        try:
            answer = await workers.do(lambda: Answer(self._application, environ))
            if answer.is_whole:
                await conversation.send_whole(request, answer.head, answer.body)
                return
            try:
                await conversation.send(answer.head)
                while part := await workers.do(answer.next_part):
                    await conversation.send(h11.Data(part))
                await conversation.send(h11.EndOfMessage())
            finally:
                await workers.do(answer.close)
        finally:
            workers.free += 1


async def first_byte(caller: socket.socket) -> bytes:
    """The first byte of a caller, left where it is; nothing when none comes in time."""
    loop = asyncio.get_running_loop()
    caller.settimeout(0)
    readable = asyncio.Event()
    loop.add_reader(caller, readable.set)
    try:
        async with asyncio.timeout(HANDS_SHAKEN_WITHIN_S):
            await readable.wait()
        return caller.recv(1, socket.MSG_PEEK)
    finally:
        loop.remove_reader(caller)
