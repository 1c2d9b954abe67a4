"""Where requests come from, as values."""

import pytest

from cw_mqtt.web.access import Proxies

PROXIES = Proxies(["127.0.0.1", "192.0.2.1", "2001:DB8:0::1"])


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "10.6.6.6, 198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "198.51.100.7, 192.0.2.1", "198.51.100.7"),
        ("127.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", "unknown", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.7, <script>", "127.0.0.1"),
        ("::ffff:127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("2001:db8::1", "2001:db8::0:7", "2001:db8::7"),
        ("fe80::1%eth0", "198.51.100.7", "fe80::1"),
    ],
)
def test_a_caller_is_who_the_nearest_trusted_proxy_names(
    peer: str, forwarded_for: str, address: str
) -> None:
    assert PROXIES.address(peer, forwarded_for) == address


@pytest.mark.parametrize(
    ("peer", "scheme", "forwarded_proto", "expected"),
    [
        ("203.0.113.9", "http", "https", "http"),
        ("203.0.113.9", "https", "http", "https"),
        ("127.0.0.1", "http", "https", "https"),
        ("127.0.0.1", "http", "http, HTTPS", "https"),
        ("127.0.0.1", "http", "https, http", "http"),
        ("127.0.0.1", "http", "", "http"),
        ("127.0.0.1", "http", "gopher", "http"),
    ],
)
def test_tls_is_what_the_server_or_a_trusted_proxy_speaks(
    peer: str, scheme: str, forwarded_proto: str, expected: str
) -> None:
    assert PROXIES.scheme(peer, scheme, forwarded_proto) == expected
