from dataclasses import replace
from typing import Any

import pytest

from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.model import SensorState
from cw_mqtt.publish.sensor import SensorPublisher
from cw_mqtt.publish.topics import Topics
from tests.publish.house import NOW_TS, state
from tests.settings import SENSOR


def sensor(**settings: Any) -> SensorPublisher:
    """A publisher that has told nothing yet."""
    settings = {**SENSOR, **settings}
    return SensorPublisher(
        SensorSettings.model_validate(settings), Topics("citizenwatt"), night_prices=False
    )


def told(publisher: SensorPublisher, state: SensorState, now_ts: float = NOW_TS) -> dict[str, str]:
    """What is published: the last part of each topic, and its payload."""
    messages = publisher.messages(state, now_ts)
    return {
        message.topic.removeprefix("citizenwatt/main/"): message.payload for message in messages
    }


def test_at_first_everything_is_told() -> None:
    values = told(sensor(), state())

    assert list(values) == ["power", "energy", "state", "availability"]
    assert (values["power"], values["energy"]) == ("512", "12.500")


def test_what_was_told_is_not_told_again() -> None:
    publisher = sensor()
    told(publisher, state())

    assert told(publisher, state()) == {}


def test_after_forget_everything_is_told_again() -> None:
    publisher = sensor()
    told(publisher, state())
    publisher.forget()

    assert list(told(publisher, state())) == ["power", "energy", "state", "availability"]


def test_a_reading_that_changes_no_total_tells_no_total() -> None:
    publisher = sensor()
    told(publisher, state(0))

    assert list(told(publisher, state(0, ts=NOW_TS + 8), NOW_TS + 8)) == ["power", "state"]


def test_a_sensor_never_heard_is_offline_and_has_no_state() -> None:
    assert told(sensor(), SensorState("main")) == {"power": "", "availability": "offline"}


def test_after_too_long_a_silence_the_power_is_taken_back() -> None:
    publisher = sensor()
    told(publisher, state())

    assert told(publisher, state(), NOW_TS + 50) == {"power": "", "availability": "offline"}


@pytest.mark.parametrize("missing", ["loaded", "published"])
def test_no_energy_is_told_before_the_total_is_complete(missing: str) -> None:
    values = told(sensor(), state(**{missing: False}))

    assert "energy" not in values
    assert '"energy":null' in values["state"]


def test_the_total_is_told_as_soon_as_it_is_complete() -> None:
    publisher = sensor()
    told(publisher, state(published=False))

    assert told(publisher, state(kwh=99.0))["energy"] == "99.000"


def test_a_total_that_fell_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    publisher = sensor()
    told(publisher, state(kwh=12.5))
    publisher.forget()

    values = told(publisher, state(kwh=11))

    assert values["energy"] == "12.500"
    assert '"energy":12.5' in values["state"]
    assert "fell from 12.500 to 11.000 kWh" in caplog.text


def test_readings_are_thinned_out_as_the_settings_say() -> None:
    publisher = sensor(publish={"on_change_w": 100})
    told(publisher, state(512))

    assert told(publisher, state(600, ts=NOW_TS + 8), NOW_TS + 8) == {}
    assert told(publisher, state(612, ts=NOW_TS + 16), NOW_TS + 16)["power"] == "612"


def test_a_restarted_sensor_is_online_before_its_first_good_reading() -> None:
    publisher = sensor()
    settling = replace(state(ts=NOW_TS - 3600), seen_ts=float(NOW_TS))

    values = told(publisher, settling)

    assert (values["power"], values["availability"]) == ("", "online")
