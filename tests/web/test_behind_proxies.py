"""The page behind real reverse proxies, which are set up as docs/users.md says."""

import http.client
import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urlencode, urljoin

import pytest
import trustme

from cw_mqtt.web import throttle
from tests.missing import CADDY, HAPROXY, NGINX, Need, needed
from tests.program import HOST, Program, free_port
from tests.waiting import DEADLINE_S
from tests.web.site import ADA, Answer, Site

DOCUMENTATION = (Path(__file__).parents[2] / "docs/users.md").read_text("utf-8")
BROWSER = "127.0.0.2"  # not the proxy's address, which is trusted
HTML = {"Accept": "text/html"}
LINK = re.compile(r'(?:href|src|action)="(?!data:)([^"]*)"')

NGINX_AROUND = """\
daemon off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {host}:{port} ssl;
        ssl_certificate {folder}/both.pem;
        ssl_certificate_key {folder}/both.pem;
        {example}
    }}
}}
"""
HAPROXY_AROUND = """\
defaults
    mode http
    timeout connect 100s
    timeout client 100s
    timeout server 100s
frontend all
    bind {host}:{port} ssl crt {folder}/both.pem
    use_backend meter if {{ path_beg /meter/ }}
{example}
"""
CADDY_AROUND = """\
{{
    admin off
    auto_https off
    storage file_system {folder}
}}
https://{host}:{port} {{
    bind {host}
    tls {folder}/both.pem {folder}/both.pem
    {example}
}}
"""
# name in the page, program, what installs it, its file, its arguments before that
KINDS: tuple[tuple[str, str, Need, str, tuple[str, ...]], ...] = (
    ("nginx", "nginx", NGINX, NGINX_AROUND, ("-c",)),
    ("HAProxy", "haproxy", HAPROXY, HAPROXY_AROUND, ("-f",)),
    ("Caddy", "caddy", CADDY, CADDY_AROUND, ("run", "--adapter", "caddyfile", "--config")),
)


class Behind:
    """A browser that speaks TLS with a proxy."""

    def __init__(self, port: int, trusting: ssl.SSLContext) -> None:
        self.address = f"https://{HOST}:{port}"
        self._port = port
        self._trusting = trusting
        self._cookie = ""

    def call(self, path: str, body: str = "", **headers: str) -> Answer:
        """A GET, or a POST with a body."""
        connection = http.client.HTTPSConnection(
            HOST,
            self._port,
            timeout=DEADLINE_S,
            context=self._trusting,
            source_address=(BROWSER, 0),
        )
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        usual = HTML | ({"Cookie": self._cookie} if self._cookie else {})
        connection.request("POST" if body else "GET", path, body or None, usual | named)
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read().decode())
        connection.close()
        return answer

    def log_in(self, password: str = ADA[1], **headers: str) -> Answer:
        form = {"login": ADA[0], "password": password, "next": "/"}
        answer = self.call("/meter/login", urlencode(form), **headers)
        self._cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]
        return answer

    def links(self, path: str) -> list[str]:
        """Where a page leads to, as paths of the host."""
        found = LINK.findall(self.call(path).text)
        return [urljoin(self.address + path, each).removeprefix(self.address) for each in found]


@pytest.fixture
def site(make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(throttle, "FREE_GUESSES", 1)
    return make_site(trusted_proxies=[HOST]).wait()


@pytest.fixture(params=KINDS, ids=[kind[0] for kind in KINDS])
def behind(request: pytest.FixtureRequest, tmp_path: Path, site: Site) -> Iterator[Behind]:
    """A proxy in front of the site, which shows it below /meter/."""
    name, program, need, around, arguments = request.param
    proxy, browser = start_proxy(tmp_path, site, name, needed(program, need), around, arguments)
    proxy.start()
    yield browser
    proxy.stop()


def start_proxy(
    folder: Path, site: Site, name: str, path: str, around: str, arguments: Any
) -> tuple[Program, Behind]:
    authority, port = trustme.CA(), free_port()
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    example = re.search(rf"^{name}:\n\n```\w*\n(.*?)```", DOCUMENTATION, re.M | re.S)
    assert example
    text = example[1].replace("127.0.0.1:8080", f"{HOST}:{site.port}")
    file = folder / "proxy.conf"
    file.write_text(around.format(folder=folder, host=HOST, port=port, example=text))
    return Program([path, *arguments, file], folder, port), Behind(port, trusting)


def test_who_is_not_logged_in_is_sent_to_the_login_page_below_the_prefix(behind: Behind) -> None:
    answer = behind.call("/meter/")

    assert answer.status == 303
    assert answer.headers["Location"].removeprefix(behind.address) == "/meter/login?next=%2F"


def test_a_login_leads_to_the_page_and_its_cookie_belongs_to_it(behind: Behind) -> None:
    answer = behind.log_in()

    assert answer.headers["Location"].removeprefix(behind.address) == "/meter/"
    assert answer.headers["Set-Cookie"].startswith("__Secure-cw-mqtt-")
    assert {"Path=/meter", "Secure"} <= set(answer.headers["Set-Cookie"].split("; "))
    assert behind.call("/meter/").status == 200


def test_what_a_page_needs_is_found_below_the_prefix(behind: Behind) -> None:
    before = behind.links("/meter/login")
    behind.log_in()
    links = [urldefrag(link)[0] for link in before + behind.links("/meter/")]

    assert any(link.endswith(".css") for link in links)
    assert any(link.endswith(".js") for link in links)
    assert [link for link in links if not link.startswith("/meter/")] == []
    answers = {link: behind.call(link).status for link in links if "log" not in link}
    wrong = {link: status for link, status in answers.items() if status not in (200, 303)}
    assert wrong == {}


def test_the_api_is_below_the_prefix(behind: Behind) -> None:
    assert behind.call("/meter/api/openapi.json").status == 200
    assert behind.call("/meter/health").status in (200, 503)
    assert behind.call("/meter/api/nothing").status == 404


def test_a_stranger_behind_the_proxy_is_no_program_of_this_computer(behind: Behind) -> None:
    assert "reason" not in behind.call("/meter/health").text


def test_who_guesses_is_known_by_the_address_that_the_proxy_saw(
    behind: Behind, caplog: pytest.LogCaptureFixture
) -> None:
    behind.log_in("wrong", X_Forwarded_For="203.0.113.9")

    assert f"from {BROWSER}" in caplog.text
