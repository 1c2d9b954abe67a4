"""The figure of now, why there is none, and when a sensor is silent."""

from itertools import count

import pytest

from cw_mqtt.bridge.silence import SilenceWatch
from cw_mqtt.measure.tariff import Contract
from cw_mqtt.model import SensorState
from cw_mqtt.publish.sensor import SensorPublisher
from cw_mqtt.publish.topics import Topics
from cw_mqtt.store.web_queries import WebQueries
from cw_mqtt.web.page.house import House
from cw_mqtt.web.page.language import LANGUAGES
from cw_mqtt.web.page.now import now_of
from tests.home import Home, reading
from tests.settings import SENSOR, settings
from tests.web.site import NOW_TS


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
) -> None:
    sensor = {**SENSOR, "availability_timeout_s": timeout_s or "auto"}
    its_settings = settings(home.folder, sensors=[sensor])
    state = SensorState("main", seen_ts=seen_ts, latest=reading(0))
    home.journal.commit([state])
    house = House(
        its_settings,
        home.journal,
        home.health,
        WebQueries(home.engine, its_settings),
        lambda: NOW_TS,
    )
    publisher = SensorPublisher(its_settings.sensors[0], Topics("cw"), Contract(its_settings))
    watch = SilenceWatch(its_settings, home.health, count(step=1000).__next__)

    now = now_of(house, its_settings.sensors[0], LANGUAGES["en"])
    watch.look(home.journal.states(), NOW_TS)
    told = {message.topic: message.payload for message in publisher.messages(state, NOW_TS)}

    assert now.is_stale is expected
    assert (told["cw/main/availability"] == "offline") is expected
    assert ("sensor main" in home.health.report()["stages"]) is expected
