import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cw_mqtt.config.settings import PublishSettings
from cw_mqtt.measure.tariff import Contract
from cw_mqtt.model import Chain, Event, SensorState, is_silent, timeout_s
from cw_mqtt.publish.topics import Message, Topics, is_due
from tests.publish.house import NOW_TS, reading, state
from tests.settings import NIGHT_CONTRACT, settings

TOPICS = Topics("citizenwatt")
LIMITED = {"name": "500 W", "from": "2026-01-01", "day": {"eur_per_kwh": 0.2}, "threshold_w": 500}


def contract(*lines: Any) -> Contract:
    return Contract(settings(Path(), providers=lines))


def told(state: SensorState, kwh: float | None, *lines: Any) -> dict[str, Any]:
    """The state as subscribers read it."""
    assert state.latest
    message = TOPICS.state(state, state.latest, kwh, contract(*lines))
    values: dict[str, Any] = json.loads(message.payload)
    return values


def test_power_expires_when_it_stops_being_current() -> None:
    message = TOPICS.power(state(511.6), timeout_s=50, now_ts=NOW_TS + 20)

    assert message == Message("citizenwatt/main/power", "512", 0, retain=True, expiry_s=30)


@pytest.mark.parametrize(
    "old", [state(ts=NOW_TS - 50), SensorState("main"), state(ts=NOW_TS + 3600)]
)
def test_power_that_is_not_current_is_removed_from_the_broker(old: SensorState) -> None:
    message = TOPICS.power(old, timeout_s=50, now_ts=NOW_TS)

    assert message == Message("citizenwatt/main/power", "", 0, retain=True)


def test_energy_is_kwh_with_three_decimals() -> None:
    assert TOPICS.energy("main", 12345.6) == Message(
        "citizenwatt/main/energy", "12345.600", 1, retain=True
    )


def test_state_says_everything_known_of_a_sensor() -> None:
    message = TOPICS.state(state(), reading(), 12.5, contract())

    assert (message.topic, message.qos, message.retain) == ("citizenwatt/main/state", 1, True)
    assert json.loads(message.payload) == {
        "power": 512,
        "energy": 12.5,
        "voltage": 240,
        "battery": 3.29,
        "last_seen": "2026-09-21T14:13:20Z",
        "interval": 8.2,
        "loss": 0.025,
        "quality": "verified",
    }


def test_with_night_prices_state_has_a_total_for_each_tariff_and_the_cost() -> None:
    two_tariffs = state(tariffs_j={"day": 3_600_000, "night": 1_800_000}, cost=0.25)

    values = told(two_tariffs, 14.0, NIGHT_CONTRACT)

    assert (values["energy_day"], values["energy_night"]) == (1.0, 0.5)
    assert (values["tariff"], values["cost"]) == ("day", 0.25)


def test_before_the_total_is_known_state_has_null_for_energy_and_cost() -> None:
    values = told(state(), None, NIGHT_CONTRACT)

    assert [values[name] for name in ("energy", "energy_day", "energy_night", "cost")] == [None] * 4


@pytest.mark.parametrize(("power_w", "overload"), [(500, False), (501, True)])
def test_above_the_power_of_the_contract_is_an_overload(power_w: float, overload: bool) -> None:
    assert told(state(power_w), 14.0, LIMITED)["overload"] is overload


def test_what_a_contract_says_holds_before_its_first_day_too() -> None:
    before = state(9000, ts=NOW_TS - 365 * 86400)

    assert told(before, 14.0, LIMITED)["overload"] is True


def test_an_interval_not_yet_observed_is_null() -> None:
    new = replace(state(), chain=SensorState("main").chain)

    assert told(new, None)["interval"] is None


def test_an_event_is_not_retained() -> None:
    message = TOPICS.event(Event("sensor_rebooted", NOW_TS, "main"))

    assert message == Message(
        "citizenwatt/bridge/event",
        '{"type":"sensor_rebooted","sensor":"main","at":"2026-09-21T14:13:20Z"}',
        1,
        retain=False,
    )


def test_retained_topics_are_those_of_the_bridge_and_of_each_sensor() -> None:
    assert TOPICS.retained(["a"]) == {
        *(f"citizenwatt/bridge/{document}" for document in ("state", "info", "health", "totals")),
        *(f"citizenwatt/a/{value}" for value in ("state", "power", "energy", "availability")),
    }


@pytest.mark.parametrize(
    ("intervals_s", "configured_s", "expected_s"),
    [
        ((), None, 6 * 8.192),
        ((8.2,), None, 6 * 8.2),
        ((2.0,), None, 30.0),
        ((8.0,), 600.0, 600.0),
    ],
)
def test_a_sensor_may_be_silent_for_six_of_its_intervals(
    intervals_s: tuple[float, ...], configured_s: float | None, expected_s: float
) -> None:
    state = SensorState("main", chain=Chain(intervals_s=intervals_s))

    assert timeout_s(state, configured_s) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    ("seen_ts", "online"),
    [(None, False), (100.0, True), (150.0, True), (99.9, False), (1e9, False)],
)
def test_a_sensor_is_online_until_its_timeout(seen_ts: float | None, online: bool) -> None:
    assert is_silent(SensorState("main", seen_ts=seen_ts), 50, now_ts=150) is not online


@pytest.mark.parametrize(
    ("policy", "after_s", "power_w", "due"),
    [
        ({}, 0, 512, True),
        ({"every_s": 20}, 19, 900, False),
        ({"every_s": 20}, 20, 512, True),
        ({"on_change_w": 100}, 10, 611, False),
        ({"on_change_w": 100}, 10, 412, True),
        ({"every_s": 20, "on_change_w": 100}, 8, 612, True),
        ({"every_s": 20, "on_change_w": 100}, 20, 512, True),
        ({"every_s": 20, "on_change_w": 100}, 8, 513, False),
        ({"every_s": 900, "on_change_w": 900}, 25, 512, True),
        ({"every_s": 20}, -3600, 512, True),
    ],
)
def test_a_reading_is_due_by_time_by_change_or_after_half_the_timeout(
    policy: dict[str, float], after_s: int, power_w: float, due: bool
) -> None:
    latest = reading(power_w, NOW_TS + after_s)

    assert is_due(reading(), latest, PublishSettings(**policy), timeout_s=50) is due
