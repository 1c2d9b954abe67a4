from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.measure.tariff import Contract
from cw_mqtt.model import SensorState
from cw_mqtt.publish.sensor import SensorPublisher
from cw_mqtt.publish.topics import Topics
from tests.publish.house import NOW_TS, state
from tests.settings import SENSOR, settings


def sensor(*, providers: Sequence[Any] = (), **changes: Any) -> SensorPublisher:
    """A publisher that has told nothing yet, and may."""
    made = SensorSettings.model_validate({**SENSOR, **changes})
    contract = Contract(settings(Path(), providers=providers))
    publisher = SensorPublisher(made, Topics("citizenwatt"), contract)
    publisher.joined = True
    return publisher


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

    values = told(publisher, state(), NOW_TS + 50)

    assert (values["power"], values["availability"]) == ("", "offline")


def test_a_state_that_lacks_its_sums_takes_no_place_at_the_broker() -> None:
    unloaded = replace(state(), energy=replace(state().energy, loaded=False))
    kept = {m.topic: m.retain for m in sensor().messages(unloaded, NOW_TS)}

    assert kept["citizenwatt/main/state"] is False


def test_no_energy_is_told_before_the_total_is_loaded() -> None:
    values = told(sensor(), state(loaded=False))

    assert "energy" not in values
    assert '"energy":null' in values["state"]


def test_no_energy_is_told_before_the_total_is_joined_to_earlier_ones() -> None:
    publisher = sensor()
    publisher.joined = False

    values = told(publisher, state())

    assert "energy" not in values
    assert '"energy":null' in values["state"]


def test_the_total_is_told_as_soon_as_it_is_complete() -> None:
    publisher = sensor()
    told(publisher, state(loaded=False))

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


def test_an_overload_is_told_at_once_however_the_readings_are_thinned_out() -> None:
    limited = {"name": "600 W", "day": {"eur_per_kwh": 0.2}, "threshold_w": 600}
    publisher = sensor(providers=[limited], publish={"every_s": 20})
    told(publisher, state(512))

    assert told(publisher, state(599, ts=NOW_TS + 8), NOW_TS + 8) == {}
    assert told(publisher, state(601, ts=NOW_TS + 9), NOW_TS + 9)["power"] == "601"


def test_energy_may_have_its_own_pace() -> None:
    publisher = sensor(publish={"energy_every_s": 15})
    told(publisher, state(512, kwh=1))

    assert "energy" not in told(publisher, state(512, kwh=1.1, ts=NOW_TS + 8), NOW_TS + 8)
    assert told(publisher, state(512, kwh=1.2, ts=NOW_TS + 16), NOW_TS + 16)["energy"] == "1.200"


def test_energy_goes_on_when_the_power_is_thinned_out() -> None:
    publisher = sensor(publish={"on_change_w": 100, "energy_every_s": 5})
    told(publisher, state(512, kwh=1))

    assert told(publisher, state(513, kwh=1.1, ts=NOW_TS + 8), NOW_TS + 8) == {"energy": "1.100"}


def test_a_sensor_that_falls_silent_and_returns_is_an_event_each_time() -> None:
    publisher = sensor()
    told(publisher, state())

    silent = told(publisher, state(), NOW_TS + 60)
    publisher.forget()
    back = told(publisher, state(ts=NOW_TS + 61), NOW_TS + 61)

    assert '"type":"sensor_offline"' in silent["citizenwatt/bridge/event"]
    assert '"type":"sensor_online"' in back["citizenwatt/bridge/event"]
