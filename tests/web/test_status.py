"""How the page writes numbers and ages, and when a sensor is silent."""

import pytest

from cw_mqtt.model import SensorState
from cw_mqtt.web.status import age, grouped, is_silent
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
def test_a_sensor_is_silent_after_its_timeout(
    seen_ts: float | None, timeout_s: float | None, expected: bool
) -> None:
    settings = sensor("main", "Main").model_copy(update={"availability_timeout_s": timeout_s})

    assert is_silent(settings, SensorState("main", seen_ts=seen_ts), NOW_TS) is expected
