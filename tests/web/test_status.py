"""How the page writes numbers and ages, and when a sensor is silent."""

from itertools import count

import pytest

from cw_mqtt.bridge.silence import SilenceWatch
from cw_mqtt.measure.tariff import Contract
from cw_mqtt.model import SensorState
from cw_mqtt.publish.sensor import SensorPublisher
from cw_mqtt.publish.topics import Topics
from cw_mqtt.web.status import TEMPLATES, StatusPage, age, grouped
from tests.home import Home
from tests.web.site import NOW_TS, sensor


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-3, "0 s"),
        (0.9, "0 s"),
        (8, "8 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_800, "2 days"),
    ],
)
def test_an_age_has_one_unit(seconds: float, expected: str) -> None:
    assert age(seconds) == expected


def test_thousands_are_apart_by_a_space_that_does_not_break() -> None:
    assert grouped(1234567.891, 2) == "1\N{NARROW NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567.89"


@pytest.mark.usefixtures("caplog")
@pytest.mark.parametrize(
    ("seen_ts", "timeout_s", "expected"),
    [
        (None, None, True),
        (NOW_TS - 49, None, False),
        (NOW_TS - 50, None, True),
        (NOW_TS - 121, 600, False),
        (NOW_TS - 601, 600, True),
        (NOW_TS + 3600, None, True),
    ],
)
def test_page_mqtt_and_health_call_a_sensor_silent_at_the_same_instants(
    seen_ts: float | None,
    timeout_s: float | None,
    expected: bool,
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = sensor("main", "Main").model_copy(update={"availability_timeout_s": timeout_s})
    state = SensorState("main", seen_ts=seen_ts)
    home.journal.commit([state])
    monkeypatch.setitem(TEMPLATES.globals, "base", lambda: "")  # there is no request
    publisher = SensorPublisher(settings, Topics("cw"), Contract(home.settings))
    every = home.settings.model_copy(update={"sensors": (settings,)})
    watch = SilenceWatch(every, home.health, count(step=1000).__next__)

    page = StatusPage([settings], home.journal, home.health, None, lambda: NOW_TS).html(None)
    told = {message.topic: message.payload for message in publisher.messages(state, NOW_TS)}
    watch.look(home.journal.states(), NOW_TS)

    assert ('class="card silent"' in page) is expected
    assert (told["cw/main/availability"] == "offline") is expected
    assert ("sensor main" in home.health.report()["stages"]) is expected
