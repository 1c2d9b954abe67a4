"""Whatever reads the bytes of a stranger takes time in proportion to them, and not to their square.

Each text is hard for careless readers of its kind. It is read at two sizes, up to the largest that
comes so far, and only the ratio of the two times on the processor is looked at.
"""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cw_mqtt.acquire.capture import parse_header, parse_line
from cw_mqtt.commands.import_ import Parser
from cw_mqtt.decode.framing import Framer
from cw_mqtt.errors import BridgeError
from cw_mqtt.publish.requests import read_transaction
from cw_mqtt.publish.totals import parse_object
from cw_mqtt.web.access import Proxies
from cw_mqtt.web.api import Api
from cw_mqtt.web.credentials import basic_credentials, bearer_token, cookie, form_fields
from cw_mqtt.web.endpoints import PARAMETERS, find_call
from cw_mqtt.web.http_connection import (
    MOST_BODY_BYTES,
    MOST_HEAD_BYTES,
    HttpConnection,
    RefusedRequestError,
    environ_of,
)
from cw_mqtt.web.login import local
from tests.packets import chunk
from tests.settings import settings

TIMES = 8  # as large
SLACK = 3  # a square takes eight times more than eight times
LEAST_S = 50e-6  # below that it is the machine that is measured
ROUNDS = 3
FILE = Path("file")
PROXIES = Proxies(["127.0.0.1"])
MULTIPART = "multipart/form-data; boundary=x"
URLENCODED = "application/x-www-form-urlencoded"
LARGE = 256 * 1024  # where there is no bound, or one far beyond

Read = Callable[[bytes], object]


def http(said: bytes, piece: int = 16 * 1024) -> object:
    """A request that comes in pieces, as far as it is read."""
    connection, here = HttpConnection(), ("127.0.0.1", 80)
    with suppress(RefusedRequestError):
        for begin in range(0, len(said), piece):
            connection.receive(said[begin : begin + piece])
            if request := connection.request():
                return environ_of(request, here, here, lambda: False, by_tls=False)
    return None


def by_bytes(said: bytes) -> object:
    return http(said, 1)


def called(said: bytes) -> object:
    call = find_call(ENDPOINTS, said.decode())
    with suppress(BridgeError):
        return call and [PARAMETERS[name].parse(name, part) for name, part in call.texts.items()]
    return None


def line_of_csv(said: bytes) -> object:
    parser = Parser(settings(Path("x")), {"main": 1}, "main")
    with suppress(ValueError):
        parser.measure(1, "time,watts")
        return parser.measure(2, said.decode())
    return None


def capture(said: bytes) -> object:
    with suppress(BridgeError):
        return parse_line(FILE, 2, said)
    return None


def capture_header(said: bytes) -> object:
    with suppress(BridgeError):
        return parse_header(FILE, said)
    return None


def receiver(form: Any) -> Read:
    def read(said: bytes) -> object:
        return list(Framer(form, lambda block: ()).feed(chunk(said)))

    return read


def text(read: Callable[[str], object]) -> Read:
    return lambda said: read(said.decode())


def urlencoded(said: bytes) -> object:
    return form_fields(URLENCODED, said)


def multipart(said: bytes) -> object:
    return form_fields(MULTIPART, said)


ENDPOINTS = Api(*[None] * 4).endpoints()  # type: ignore[arg-type]  # nobody is asked
TO_HOST = b" HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
TO_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"

# what reads, the largest that it is given, what is repeated, what stands before and behind
Case = tuple[Read, int, bytes, bytes, bytes]
CASES: dict[str, Case] = {
    "head: many headers": (http, MOST_HEAD_BYTES, b"a: b\r\n", HEAD, b"\r\n"),
    "head: one long value": (http, MOST_HEAD_BYTES, b"x", HEAD + b"a: ", b"\r\n\r\n"),
    "head: spaces in a value": (http, MOST_HEAD_BYTES, b" \t", HEAD + b"a: b", b"\0\r\n\r\n"),
    "head: folded": (http, MOST_HEAD_BYTES, b"a\r\n ", HEAD + b"a: ", b"\r\n\r\n"),
    "head: no colon": (http, MOST_HEAD_BYTES, b"a", HEAD, b"\r\n\r\n"),
    "head: empty lines": (http, MOST_HEAD_BYTES, b"\r\n", b"", b""),
    "head: long target": (
        http,
        MOST_HEAD_BYTES,
        b"%2f/",
        b"GET /",
        b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ),
    "head: no end": (http, MOST_HEAD_BYTES, b"\r", HEAD, b""),
    "head: byte by byte": (by_bytes, MOST_HEAD_BYTES // 2, b"x", HEAD + b"a: ", b"\r\n\r\n"),
    "head: lines byte by byte": (by_bytes, MOST_HEAD_BYTES // 2, b"a:b\r\n", HEAD, b"\r\n"),
    "body: byte by byte": (by_bytes, 8192, b"x", TO_BODY % 60_000, b""),
    "basic": (text(basic_credentials), MOST_HEAD_BYTES, b"OjpB", b"Basic ", b""),
    "basic: no base64": (text(basic_credentials), MOST_HEAD_BYTES, b"= ", b"Basic ", b""),
    "bearer": (text(bearer_token), MOST_HEAD_BYTES, b" ", b"Bearer ", b"x"),
    "cookies": (text(lambda said: cookie(said, "c")), MOST_HEAD_BYTES, b"a=b;", b"", b""),
    "cookies: equals": (text(lambda said: cookie(said, "c")), MOST_HEAD_BYTES, b'="', b"", b""),
    "form: fields": (
        urlencoded,
        MOST_BODY_BYTES,
        b"a=b&",
        b"",
        b"",
    ),
    "form: percent": (
        urlencoded,
        MOST_BODY_BYTES,
        b"%41",
        b"",
        b"",
    ),
    "form: half percent": (
        urlencoded,
        MOST_BODY_BYTES,
        b"%",
        b"",
        b"",
    ),
    "multipart: parts": (multipart, MOST_BODY_BYTES, b"--x\r\na:b\r\n\r\nc\r\n", b"", b"--x--"),
    "multipart: a header": (multipart, MOST_BODY_BYTES, b"content-disposition:", b"--x\r\n", b""),
    "multipart: headers": (multipart, MOST_BODY_BYTES, b"a:b\r\n", b"--x\r\n", b""),
    "multipart: a name": (
        *(multipart, MOST_BODY_BYTES, b'\\"', b'--x\r\ncontent-disposition: form-data; name="'),
        b'"\r\n\r\na\r\n--x--',
    ),
    "multipart: options": (
        *(multipart, MOST_BODY_BYTES, b"; a=b", b"--x\r\ncontent-disposition: form-data"),
        b"\r\n\r\na\r\n--x--",
    ),
    "multipart: nearly ends": (multipart, MOST_BODY_BYTES, b"\r\n--", b"--x\r\na:b\r\n\r\n", b""),
    "multipart: preamble": (multipart, MOST_BODY_BYTES, b"\r\n", b"", b""),
    "content type: options": (
        *(text(lambda said: form_fields(said, b"--x")), MOST_HEAD_BYTES, b"; a=b"),
        *(b"multipart/form-data", b"; boundary=x"),
    ),
    "content type: backslashes": (
        *(text(lambda said: form_fields(said, b"--x")), MOST_HEAD_BYTES, b"\\"),
        *(b'multipart/form-data; boundary="', b""),
    ),
    "content type: spaces": (
        *(text(lambda said: form_fields(said, b"--x")), MOST_HEAD_BYTES, b" ;"),
        *(b"multipart/form-data", b""),
    ),
    "path: digits": (called, MOST_HEAD_BYTES, b"1", b"/api/1/get/watts/by_time/", b"/2"),
    "path: dots": (called, MOST_HEAD_BYTES, b".", b"/api/1/get/watts/by_time/", b"/2"),
    "path: a fraction": (called, MOST_HEAD_BYTES, b"1", b"/api/1/get/watts/by_time/1/2/0.", b""),
    "path: parts": (called, MOST_HEAD_BYTES, b"1/", b"/api/", b""),
    "next page": (text(local), MOST_HEAD_BYTES, b"/a", b"", b"\n"),
    "forwarded: trusted": (
        *(text(lambda said: PROXIES.address("127.0.0.1", said)), MOST_HEAD_BYTES),
        *(b"127.0.0.1,", b"", b""),
    ),
    "forwarded: commas": (
        *(text(lambda said: PROXIES.address("127.0.0.1", said)), MOST_HEAD_BYTES, b",", b"", b"::"),
    ),
    "forwarded: scheme": (
        *(text(lambda said: PROXIES.scheme("127.0.0.1", "http", said)), MOST_HEAD_BYTES),
        *(b"http, ", b"", b""),
    ),
    "forwarded: prefix": (
        *(text(lambda said: PROXIES.base_path("127.0.0.1", said)), MOST_HEAD_BYTES),
        *(b"/a", b"", b"?"),
    ),
    "forwarded: slashes": (
        *(text(lambda said: PROXIES.base_path("127.0.0.1", said)), MOST_HEAD_BYTES),
        *(b"/ ", b"", b"x"),
    ),
    "mqtt request: deep": (text(read_transaction), LARGE, b"[", b"", b""),
    "mqtt request: long": (text(read_transaction), LARGE, b"\\u00e9", b'{"transaction": "', b'"}'),
    "mqtt request: digits": (text(read_transaction), LARGE, b"9", b'{"transaction": ', b"}"),
    "mqtt request: names": (text(read_transaction), LARGE, b'"a": 1, ', b"{", b'"a": 1}'),
    "mqtt totals: deep": (text(parse_object), LARGE, b'{"a":', b"", b""),
    "csv: cells": (line_of_csv, LARGE, b"1,", b"", b""),
    "csv: quotes": (line_of_csv, LARGE, b'""', b'"', b'"'),
    "csv: digits": (line_of_csv, MOST_HEAD_BYTES, b"1", b"1790000000,", b""),
    "csv: a time": (line_of_csv, LARGE, b"1", b"", b",5"),
    "csv: a date": (line_of_csv, LARGE, b"0", b"2026-11-26T05:07:17.", b",5"),
    "capture: hex": (capture, LARGE, b"0f", b"1.000 ", b"\n"),
    "capture: odd hex": (capture, LARGE, b"0f", b"1.000 ", b"0\n"),
    "capture: digits": (capture, LARGE, b"1", b"", b".000 -\n"),
    "capture: a deep header": (capture_header, LARGE, b"[", b"", b"\n"),
    "receiver, raw: noise": (receiver("raw"), LARGE // 8, b"\x8a\x01\xfe", b"", b""),
    "receiver, raw: zeros": (receiver("raw"), LARGE // 8, b"\0", b"", b""),
    "receiver, lines: begun": (receiver("lines"), LARGE // 8, b"CW1 ", b"", b""),
    "receiver, lines: text": (receiver("lines"), LARGE, b"boot\r\n", b"", b""),
    "receiver, lines: wrong": (receiver("lines"), LARGE // 8, b"CW1 S 1 *0000\r\n", b"", b""),
    "receiver, auto: begun": (receiver("auto"), LARGE // 8, b"CW1 ", b"", b""),
    "receiver, auto: unended": (receiver("auto"), LARGE // 8, b" x", b"CW1 ", b""),
}


def cost_s(read: Read, said: bytes) -> float:
    """The least time that reading takes on the processor."""

    def once() -> float:
        began_s = time.thread_time()
        read(said)
        return time.thread_time() - began_s

    return min(once() for _ in range(ROUNDS))


def times_as_long(case: Case) -> float:
    """How much longer eight times as much takes."""
    read, largest, repeated, before, behind = case
    count = (largest - len(before) - len(behind)) // len(repeated)
    large_s = cost_s(read, before + repeated * count + behind)
    small_s = cost_s(read, before + repeated * (count // TIMES) + behind)
    return large_s / max(small_s, LEAST_S)


@pytest.mark.parametrize("case", CASES)
def test_eight_times_as_much_takes_about_eight_times_as_long(case: str) -> None:
    assert times_as_long(CASES[case]) < TIMES * SLACK


def test_a_square_is_noticed() -> None:
    careless = re.compile(rb"a*b")

    assert times_as_long((careless.search, 8192, b"a", b"", b"")) > TIMES * SLACK
