"""What is said of a packet under each configured key."""

import pytest

from cw_mqtt.commands.decode import explain_payload
from cw_mqtt.config.keys import sensor_keys
from tests.packets import KEY, OTHER_KEY, RECORDED, STREAMS, payloads
from tests.settings import SENSOR, settings

VALUES = ("power_w", "voltage_v", "battery_mv", "timer_ms")


def explained(folder, payload, **changes):
    configured = settings(folder, sensors=[{**SENSOR, **changes}])
    return list(explain_payload(payload, sensor_keys(configured.sensors)))


@pytest.mark.parametrize("stream", STREAMS)
def test_recorded_packets_have_the_values_that_they_were_made_of(tmp_path, stream):
    shown = [one for payload in payloads(stream) for one in explained(tmp_path, payload)]

    made_of = [[packet[name] for name in VALUES] for packet in RECORDED["streams"][stream]]
    assert [[each.fields()[name] for name in VALUES] for each in shown] == made_of
    assert all(each.plausible for each in shown)


def test_another_key_is_said_to_be_another_sensors(tmp_path):
    (shown,) = explained(tmp_path, payloads()[0], key=OTHER_KEY.hex())

    assert not shown.plausible
    assert not shown.first_after_boot
    assert "main: not this sensor's key" in shown.text()


def test_previous_keys_are_tried_too(tmp_path):
    changed, previous = explained(
        tmp_path, payloads()[3], key=OTHER_KEY.hex(), previous_keys=[KEY.hex()]
    )

    assert (changed.plausible, previous.plausible) == (False, True)


def test_a_power_above_the_sensors_limit_is_implausible(tmp_path):
    (shown,) = explained(tmp_path, payloads()[0], max_power_w=749)

    assert not shown.plausible


def test_nothing_of_a_key_is_told(tmp_path):
    (shown,) = explained(tmp_path, payloads()[0])

    assert KEY.hex() not in shown.text() + str(shown.fields())
