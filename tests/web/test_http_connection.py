"""One connection's bytes: what an answer looks like, and whether another request may follow."""

import pytest

from cw_mqtt.web.http_connection import HttpConnection, Request

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
HEADERS = [("Content-Length", "2")]


@pytest.fixture
def connection() -> HttpConnection:
    return HttpConnection()


def asked(connection: HttpConnection, said: bytes = REQUEST) -> Request:
    connection.receive(said)
    request = connection.request()
    assert request
    return request


def test_an_answer_is_its_head_and_its_body(connection: HttpConnection) -> None:
    answer = connection.answer(asked(connection), 200, HEADERS, b"ab")

    assert answer == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
    assert connection.goes_on()


def test_of_two_requests_at_once_each_is_answered(connection: HttpConnection) -> None:
    first = asked(connection, REQUEST + REQUEST)

    connection.answer(first, 200, HEADERS, b"ab")

    assert connection.goes_on()
    assert connection.request()


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n",
    ],
)
def test_the_last_answer_says_that_it_is(connection: HttpConnection, said: bytes) -> None:
    answer = connection.answer(asked(connection, said), 200, HEADERS, b"ab")

    assert b"\r\nConnection: close\r\n" in answer
    assert not connection.goes_on()


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b"])
def test_a_header_that_would_be_two_is_never_sent(connection: HttpConnection, value: str) -> None:
    request = asked(connection)

    with pytest.raises(ValueError, match="line break"):
        connection.answer(request, 200, [*HEADERS, ("Location", value)], b"ab")
