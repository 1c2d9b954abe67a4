"""Callers who mean harm: what they say to a bridge's web port, in rounds of a bounded size.

Each attack is a generator. At each `yield` what it said in this round is being answered, or kept
open; answers are looked at in the next one.
"""

import base64
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from random import Random

from tests.amounts import amount
from tests.program import HOST
from tests.waiting import DEADLINE_S

READER = ("reader", "long words for reading")
BASIC = "Basic " + base64.b64encode(":".join(READER).encode()).decode()
START_TS, MEASURES, PERIOD_S = 1_790_000_000, amount(30_000, torture=100_000), 8
END_TS = START_TS + MEASURES * PERIOD_S


class Callers:
    """Connections to a port of this computer, each from one of a hundred addresses or a given one.

    `faults` are the requests to which the server said that it failed, beside what it said.
    """

    def __init__(self, port: int) -> None:
        self.answered = 0
        self.faults: list[tuple[bytes, bytes]] = []
        self._port = port
        self._open: list[tuple[socket.socket, bytes]] = []

    def call(self, said: bytes, number: int = 0, *, is_all: bool = True) -> socket.socket:
        """Say something; nothing more comes when it `is_all`."""
        source = f"127.0.0.{2 + number % 100}", 0
        caller = socket.create_connection((HOST, self._port), DEADLINE_S, source)
        self._open.append((caller, said))
        with suppress(OSError):  # refused already
            caller.sendall(said)
            if is_all:
                caller.shutdown(socket.SHUT_WR)
        return caller

    def hear(self) -> None:
        """Take all answers to their ends."""
        for caller, said in self._open:
            with closing(caller), suppress(ConnectionError):
                answer = caller.recv(4096)
                while caller.recv(2**20):
                    pass
                self._note(said, answer)
        self._open.clear()

    def leave(self) -> None:
        """Go away without listening."""
        for caller, _ in self._open:
            caller.close()
        self._open.clear()

    def _note(self, said: bytes, answer: bytes) -> None:
        self.answered += bool(answer)
        is_for_now = answer.startswith(b"HTTP/1.1 503") and b"\r\nRetry-After: " in answer
        if answer.startswith(b"HTTP/1.1 5") and not is_for_now:
            self.faults.append((said, answer))


def request(first_line: str, *headers: str, body: bytes = b"") -> bytes:
    """A request of HTTP/1.1."""
    lines = [f"{first_line} HTTP/1.1", "Host: x", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def form(content_type: str, body: bytes) -> bytes:
    """A form that is sent to the API."""
    return request("POST /api/time", f"Content-Type: {content_type}", body=body)


MULTIPART = "multipart/form-data; boundary=x"
PART = b'--x\r\ncontent-disposition: form-data; name="login"\r\n\r\nada\r\n'
COSTLY = (
    form(MULTIPART, b"--x\r\n" + b"content-disposition:" * 3200),
    form(MULTIPART, b"--x\r\n" + b"content-disposition:" * 10_000),
    form(MULTIPART, b"--x\r\n" + b"a:b\r\n" * 12_000),
    form(MULTIPART, b"--x\r\n" + b'content-disposition: form-data; name="' + b"\\" * 60_000),
    form(MULTIPART, PART * 1000),
    form(MULTIPART, b"\r\n--" * 16_000),
    form(f"multipart/form-data; {'a=b; ' * 3000}boundary=x", PART),
    form(f'multipart/form-data; boundary="{chr(92) * 15_000}', PART),
    form("application/x-www-form-urlencoded", b"a=b&" * 16_000),
    form("application/x-www-form-urlencoded", b"a=" + b"%41" * 21_000),
    form("application/json", b"[" * 64_000),
    request("GET /", "Cookie: " + "a=b;" * 4000),
    request("GET /", "Cookie: " + '="' * 8000),
    request("GET /", "Authorization: Basic " + "A" * 16_000),
    request("GET /", "X-Forwarded-For: " + "1," * 8000),
    request("GET /", "X-Forwarded-Prefix: " + "/a" * 8000),
    request("GET /", "Accept: " + "a/b;q=1," * 2000),
    request("GET /api/1/get/watts/by_time/" + "1" * 15_000 + "/2"),
    request("GET /api/" + "-1/" * 5000),
    request("GET /" + "%2f" * 5000),
    request("GET /login?" + "a=b&" * 4000),
)
STRANGE = (
    b"GET / HTTP/ 1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\n folded: first\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: x\r\n\x0bContent-Length: 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\0" * 4096,
    b"\r\n" * 20_000,
    form("multipart/form-data; boundary*=punycode''%ff", PART),
    form("multipart/form-data; boundary==?utf-8?b?////?=", PART),
    form("text/plain; charset=nothing", b"a=b"),
    request("GET /", "Authorization: Basic 6TrpCg=="),
    request("GET /", "Cookie: =?utf-8?b?////?="),
)
USUAL = (
    request("GET /health"),
    request("GET /login?next=/"),
    request("GET /page.css", "If-None-Match: x", "Accept: text/css,*/*;q=0.1"),
    request("GET /", "Accept: text/html", "Cookie: cw-mqtt-a=b"),
    request("GET /api/1/get/watts/by_id/-1", f"Authorization: {BASIC}"),
    request(f"GET /api/1/get/euros/by_time/{START_TS}/{END_TS}/864000", f"Authorization: {BASIC}"),
    request("POST /api/1/insert/512.5/1790000000/0", f"Authorization: {BASIC}"),
    form("application/x-www-form-urlencoded", b"login=reader&password=guess"),
    form(MULTIPART, PART + b"--x--\r\n"),
    b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
)
BY_HOUR = f"GET /api/1/get/watts/by_time/{START_TS + 1}.5/{END_TS + 1}.5/3600.5"
ALL = f"GET /api/1/get/watts/by_time/{START_TS}/{END_TS}"


def costly(callers: Callers) -> Iterator[None]:
    """Requests that a careless parser takes minutes for."""
    for _ in range(amount(2, torture=50)):
        for number, said in enumerate(COSTLY):
            callers.call(said, number)
        yield
        callers.hear()


def strange(callers: Callers) -> Iterator[None]:
    """Bytes that no program should take for a request."""
    for _ in range(amount(2, torture=50)):
        for number, said in enumerate(STRANGE):
            callers.call(said, number)
        yield
        callers.hear()


def slow(callers: Callers) -> Iterator[None]:
    """Two hundred who say a byte now and then, half of them from one address."""
    heads = [b"GET / HTTP/1.1\r\nX: ", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n"]
    slow = [callers.call(heads[n % 2], max(0, n - 100), is_all=False) for n in range(200)]
    for _ in range(amount(5, torture=100)):
        yield
        for caller in slow:
            with suppress(OSError):
                caller.sendall(b"x")
    callers.leave()


def heavy(callers: Callers) -> Iterator[None]:
    """Fifty who want all there is; some do not wait for it, some do not take it."""
    for _ in range(amount(1, torture=10)):
        for number in range(50):
            what = BY_HOUR if number % 5 == 0 else ALL
            callers.call(request(what, f"Authorization: {BASIC}"), number, is_all=False)
        yield
        callers.leave()
        yield
        for number in range(6):
            last = request(ALL, f"Authorization: {BASIC}", "Connection: close")
            callers.call(last, number, is_all=False)
        yield
        callers.hear()


def guesses(callers: Callers) -> Iterator[None]:
    """Wrong passwords for several logins from many addresses."""
    for turn in range(amount(2, torture=50)):
        for number in range(24):
            body = f"login={'reader' if number % 2 else number}&password=guess{turn}".encode()
            callers.call(form("application/x-www-form-urlencoded", body), number // 2)
        yield
        callers.hear()


def mutated(callers: Callers) -> Iterator[None]:
    """Requests with bytes changed, lost, doubled and moved, the same ones each time."""
    chance = Random(20)
    for _ in range(amount(20, torture=500)):
        for number in range(50):
            callers.call(mutation(chance.choice(USUAL + STRANGE), chance), number)
        yield
        callers.hear()


def mutation(said: bytes, chance: Random) -> bytes:
    """Some bytes with up to four changes."""
    for _ in range(chance.randint(1, 4)):
        begin = chance.randrange(len(said) + 1)
        end = min(len(said), begin + chance.choice((0, 1, 1, 4, 40)))
        others = (b"", chance.randbytes(1), said[begin:end] * 2, chance.choice(PIECES))
        said = said[:begin] + chance.choice(others) + said[end:]
    return said


PIECES = (b"\r\n", b"\n", b"\0", b":", b" ", b"\t", b"%", b"%00", b"/", b"=?", b"\xff", b"9" * 30)
ATTACKS: tuple[Callable[[Callers], Iterator[None]], ...]
ATTACKS = (costly, strange, slow, heavy, guesses, mutated)
