"""Whose a packet is, whatever happens to sensors: none is another's, and none of ours is lost."""

import logging

import pytest

from cw_mqtt.simulate.firmware import SensorFirmware
from tests.settings import SENSOR
from tests.simulation.lives import DELIVERIES, FORMS, LIVES, air, delivered
from tests.simulation.scoring import accepted_readings, score

ATTIC = {**SENSOR, "slug": "attic", "name": "Attic"}
LOSS = 0.05
ALMOST_ALL = 0.999


def assert_told_apart(listener, heard, *slugs):
    for slug in slugs:
        result = score(heard, accepted_readings(listener.counting(slug)), slug)
        assert result.accepted >= ALMOST_ALL * result.provable, (slug, result)
        assert result.deceived == 0, (slug, result)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", LIVES)
def test_no_packet_of_ours_is_lost_and_no_other_is_taken_for_it(make_listener, name, form):
    both = any(life.slug == "attic" for life in LIVES[name])
    listener = make_listener(sensors=[SENSOR, ATTIC] if both else [SENSOR])

    heard = listener.hear(air(name, form, LOSS, seed=1))

    assert_told_apart(listener, heard, *(["main", "attic"] if both else ["main"]))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", DELIVERIES)
def test_nothing_that_a_network_does_to_times_makes_a_sensor_mute(listener, name, form):
    heard = listener.hear(delivered(name, form, LOSS, seed=1))

    assert_told_apart(listener, heard, "main")


def test_a_sensor_that_restarts_again_and_again_is_told_in_words_and_once(listener, caplog):
    caplog.set_level(logging.WARNING)
    signals = air(next(name for name in LIVES if "every five" in name), SensorFirmware, 0.0, 1)
    in_the_loop = [signal for signal in signals if signal.ts < signals[0].ts + 1.5 * 3600]

    listener.hear(in_the_loop)

    assert listener.health.report()["sensors"]["main"]["keeps_restarting"]
    assert caplog.text.count("restarts so soon that its power is never right") == 1

    listener.hear(signals[len(in_the_loop) :])
    assert not listener.health.report()["sensors"]["main"]["keeps_restarting"]
