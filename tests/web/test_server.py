"""The web server as a stage: its port, its certificate, its limits, its end."""

import http.client
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from cw_mqtt.config.settings import CertificateSettings
from cw_mqtt.config.values import DAY_S
from cw_mqtt.web import http_caller
from cw_mqtt.web import server as web_server
from cw_mqtt.web.http_server import HttpServer
from tests.keys import with_passphrase
from tests.waiting import DEADLINE_S, wait_until
from tests.web.site import ADA, CSS, NOW_TS, Site

MakeSite = Callable[..., Site]


@pytest.fixture
def certificate(tmp_path: Path) -> CertificateSettings:
    """A certificate for 127.0.0.1 and the authority that signed it."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(key)
    for part in (*issued.cert_chain_pems, authority.cert_pem):
        part.write_to_path(cert, append=True)
    return CertificateSettings(cert=cert, key=key)


def https(site: Site, trusting: ssl.SSLContext) -> http.client.HTTPSConnection:
    """A connection with TLS."""
    return http.client.HTTPSConnection("127.0.0.1", site.port, timeout=DEADLINE_S, context=trusting)


def test_a_taken_port_is_named_and_tried_again(
    make_site: MakeSite, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", port)):
        site = make_site().wait("waiting", f"cannot listen on 127.0.0.1:{port}")
        reason = site.reason

    site.wait("working")

    assert "Address already in use; change web.port" in reason
    assert site.call("/health").status == 200


def test_a_thread_left_behind_meets_no_later_server(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[HttpServer] = []

    class Recorded(HttpServer):
        def serve(self, stopping: threading.Event, look: Callable[[], None]) -> None:
            served.append(self)
            super().serve(stopping, look)

    monkeypatch.setattr(web_server, "HttpServer", Recorded)
    site = make_site().wait()
    site.stop()

    site.start().wait()

    assert site.call("/health").status == 200
    assert len(set(served)) == 2


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server waits for slow callers longer than this run does."""
    for wait in ("IDLE_S", "HEAD_WITHIN_S", "BODY_WITHIN_S"):
        monkeypatch.setattr(http_caller, wait, 10 * DEADLINE_S)


@pytest.mark.usefixtures("patient")
def test_a_stop_does_not_wait_for_a_connection_that_is_kept_open(make_site: MakeSite) -> None:
    site = make_site().wait()
    connection = http.client.HTTPConnection("127.0.0.1", site.port)
    connection.request("GET", "/health")
    connection.getresponse().read()

    site.stop()

    with pytest.raises(ConnectionRefusedError):
        site.call("/health")
    connection.close()


@pytest.mark.usefixtures("patient")
def test_a_stop_does_not_wait_for_half_a_request(make_site: MakeSite) -> None:
    site = make_site().wait()
    with socket.create_connection(("127.0.0.1", site.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost:")
        site.call("/health")

        site.stop()


@pytest.mark.usefixtures("patient")
def test_silent_connections_keep_nobody_waiting(make_site: MakeSite) -> None:
    site = make_site().wait()
    with ExitStack() as opened:
        for _ in range(20):
            opened.enter_context(socket.create_connection(("127.0.0.1", site.port)))

        assert site.call("/health").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: 3\r\nContent-Length: 3",
        "Content-Length: 3\r\nContent-Length: 7",
        "Content-Length: 3\r\n 7",
        "Content-Length : 3\r\nContent-length: 7",
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Content-Length: -3",
        "Content-Length: +3",
        "Content-Length: 1_0",
        "Content-Length:",
    ],
)
def test_a_body_of_doubtful_length_is_refused(site: Site, headers: str) -> None:
    answer = site.raw(f"POST / HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\nabc")

    assert answer == "HTTP/1.1 400 Bad Request"


@pytest.mark.parametrize("chunks", ["0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n"])
def test_chunks_in_http_1_0_are_refused(site: Site, chunks: str) -> None:
    head = "POST /api/time HTTP/1.0\r\nConnection: Keep-Alive\r\nTransfer-Encoding: chunked\r\n\r\n"

    assert site.raw(head + chunks) == "HTTP/1.1 400 Bad Request"


@pytest.mark.parametrize(
    "chunks",
    [
        "0;A /health HTTP/1.1\r\nHost: x\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "-1\r\n",
        "3\nabc\n0\n\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "ffffffffffffffff\r\n",
        "\r\n",
    ],
)
@pytest.mark.parametrize("path", ["/api/time", "/nothing"])
def test_after_chunks_comes_no_other_request(
    site: Site, path: str, chunks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_caller, "BODY_WITHIN_S", 0.1)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    another = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"

    answers = site.raw_answers(head + chunks + another)

    assert answers.startswith("HTTP/1.1 4")
    assert answers.count("HTTP/1.1") == 1


def test_a_body_that_nobody_wanted_is_not_the_next_request(site: Site) -> None:
    inner = "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
    head = f"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: {len(inner)}\r\n\r\n"
    last = f"GET {CSS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    answers = site.raw_answers(head + inner + last)

    assert answers.count("HTTP/1.1 200 OK") == 2
    assert "404" not in answers


def test_who_asks_whether_to_send_a_body_is_told_to_go_on(site: Site) -> None:
    body = "login=ada&password=guess"
    head = f"POST /api/time HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", site.port), timeout=DEADLINE_S) as connection:
        connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        answers = connection.makefile()
        told = [answers.readline(), answers.readline()]
        connection.sendall(body.encode())

        assert told == ["HTTP/1.1 100 Continue\n", "\n"]
        assert answers.readline() == "HTTP/1.1 403 Forbidden\n"


@pytest.mark.parametrize(
    "header",
    [
        "X: =?utf-8?b?////?=",
        "Authorization: =?utf-8?b?////?=",
        "Content-Type: multipart/form-data; boundary==?utf-8?b?////?=",
        "Content-Type: multipart/form-data; boundary*=punycode''%ff",
        "Content-Type: multipart/form-data",
        "Content-Type: text/plain; charset=nothing",
    ],
)
@pytest.mark.parametrize("path", ["/login", "/api/time"])
def test_no_header_of_a_stranger_is_a_fault_of_ours(
    site: Site, caplog: pytest.LogCaptureFixture, path: str, header: str
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{header}\r\nContent-Length: 3\r\n\r\na=b"

    assert site.raw(head) == "HTTP/1.1 403 Forbidden"
    assert not caplog.records


def test_a_request_that_cannot_be_read_is_answered_in_our_words(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=DEADLINE_S) as connection:
        connection.sendall(b"GET /api/time HTTP/1.1\r\nConnection: close\r\n\r\n")
        answer = connection.makefile().read()

    assert answer.startswith("HTTP/1.1 400")
    assert '{"data": null, "error": "This is not HTTP: Missing mandatory Host."}' in answer
    assert "CherryPy" not in answer


def test_a_body_above_64_kib_is_refused(site: Site) -> None:
    answer = site.raw(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {2**16 + 1}\r\n\r\n")

    assert answer == "HTTP/1.1 413 Request Entity Too Large"


def test_headers_above_16_kib_are_refused(site: Site) -> None:
    answer = site.raw(f"GET / HTTP/1.1\r\nHost: x\r\nX-Long: {'x' * 2**14}\r\n\r\n")

    assert answer == "HTTP/1.1 431 Request Header Fields Too Large"


def test_with_a_certificate_it_speaks_tls(
    make_site: MakeSite, certificate: CertificateSettings
) -> None:
    site = make_site(tls=certificate).wait()
    trusting = ssl.create_default_context(cafile=certificate.cert)

    connection = https(site, trusting)
    connection.request("GET", "/health")

    assert connection.getresponse().status == 200
    connection.close()


def test_a_renewed_certificate_is_taken_up_and_open_connections_go_on(
    make_site: MakeSite, certificate: CertificateSettings, tmp_path: Path
) -> None:
    site = make_site(tls=certificate).wait()
    before = https(site, ssl.create_default_context(cafile=certificate.cert))
    before.request("GET", "/health")
    before.getresponse().read()
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(certificate.key)
    issued.cert_chain_pems[0].write_to_path(certificate.cert)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    def answered() -> bool:
        with suppress(ssl.SSLError):
            after = https(site, trusting)
            after.request("GET", "/health")
            return after.getresponse().status == 200
        return False

    wait_until(answered)
    before.request("GET", "/health")
    assert before.getresponse().status == 200


def test_a_certificate_that_ends_soon_is_warned_of(
    make_site: MakeSite, certificate: CertificateSettings, caplog: pytest.LogCaptureFixture
) -> None:
    ends = datetime.fromtimestamp(NOW_TS + 3.5 * DAY_S, UTC)
    issued = trustme.CA().issue_cert("127.0.0.1", not_after=ends)
    issued.private_key_pem.write_to_path(certificate.key)
    issued.cert_chain_pems[0].write_to_path(certificate.cert)

    site = make_site(tls=certificate).wait()

    wait_until(lambda: "valid for 3 more days" in caplog.text)
    assert site.health.report()["web"]["certificate_days_left"] == 3


def test_a_key_with_a_passphrase_is_opened_without_asking(
    make_site: MakeSite, certificate: CertificateSettings, caplog: Any, capfd: Any
) -> None:
    assert certificate.key
    certificate.key.write_bytes(with_passphrase(certificate.key, "canary"))
    wrong = certificate.model_copy(update={"key_password": SecretStr("wrong")})
    right = certificate.model_copy(update={"key_password": SecretStr("canary")})

    make_site(tls=wrong).wait("waiting", "is key_password right?").stop()
    make_site(tls=right).wait()

    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("patient")
def test_a_caller_who_shakes_no_hands_keeps_nobody_waiting(
    make_site: MakeSite, certificate: CertificateSettings
) -> None:
    site = make_site(tls=certificate).wait()
    trusting = ssl.create_default_context(cafile=certificate.cert)
    with ExitStack() as opened:
        for said in [b"", b"", b"\x16\x03\x01", b"\x16\x03\x01"]:
            silent = opened.enter_context(socket.create_connection(("127.0.0.1", site.port)))
            silent.sendall(said)

        another = https(site, trusting)
        another.request("GET", "/health")

        assert another.getresponse().status == 200
        another.close()


@pytest.mark.parametrize(
    ("said", "answer"), [("GET / HTTP/1.1\r\n\r\n", "HTTP/1.0 400 Bad Request"), ("\x16" * 99, "")]
)
def test_who_does_not_speak_tls_is_told_or_left(
    make_site: MakeSite,
    certificate: CertificateSettings,
    caplog: pytest.LogCaptureFixture,
    said: str,
    answer: str,
) -> None:
    site = make_site(tls=certificate).wait()

    assert site.raw(said).startswith(answer)
    assert not caplog.records


@pytest.mark.parametrize("spoil", [Path.unlink, lambda file: file.write_text("no certificate")])
def test_a_certificate_that_cannot_be_used_is_named(
    make_site: MakeSite,
    certificate: CertificateSettings,
    spoil: Callable[[Path | None], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    spoil(certificate.cert)

    site = make_site(tls=certificate).wait("waiting", "cannot use web.tls")

    assert str(certificate.cert) in site.reason


def test_the_password_is_never_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")

    site.call("/")
    site.call("/", (ADA[0], ADA[1] + "x"))
    site.call("/nothing")

    assert ADA[1] not in caplog.text
    assert "Basic" not in caplog.text
