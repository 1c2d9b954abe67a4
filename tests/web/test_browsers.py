"""Browsers by their headers."""

import pytest

from cw_mqtt.web.browsers import browser_in

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Firefox on Linux",
        ),
        (f"Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/140.0 Safari/537.36", "Chrome on Windows"),
        (
            f"Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/140 Safari/537 Edg/140",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Safari/604",
            "Safari on iPhone",
        ),
        (f"Mozilla/5.0 (Linux; Android 15) {WEBKIT} Chrome/140 Mobile Safari", "Chrome on Android"),
        ("curl/8.14.1", "curl/8.14.1"),
        ("\x1b[31m" + "x" * 9000, "[31m" + "x" * 36),
        ("", "unknown"),
    ],
)
def test_a_browser_is_known_by_its_name_and_system(user_agent: str, name: str) -> None:
    assert browser_in(user_agent) == name
