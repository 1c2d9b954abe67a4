"""Whose a packet is, whatever happens to sensors: none is another's, and none of ours is lost."""

import logging

import pytest

from cw_mqtt.decode.formats import FORMATS
from tests.settings import SENSOR
from tests.simulation.lives import DELIVERIES, LIVES, Life, air, delivered
from tests.simulation.scoring import accepted_readings, score

ATTIC = {**SENSOR, "slug": "attic", "name": "Attic"}
LOSS = 0.05
ALMOST_ALL = 0.999


def assert_told_apart(listener, heard, *slugs):
    for slug in slugs:
        result = score(heard, accepted_readings(listener.counting(slug)), slug)
        assert result.accepted >= ALMOST_ALL * result.provable, (slug, result)
        assert result.deceived == 0, (slug, result)


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("name", LIVES)
def test_no_packet_of_ours_is_lost_and_no_other_is_taken_for_it(make_listener, name, format_name):
    both = any(life.slug == "attic" for life in LIVES[name])
    listener = make_listener(sensors=[SENSOR, ATTIC] if both else [SENSOR])

    heard = listener.hear(air(name, format_name, LOSS, seed=1))

    assert_told_apart(listener, heard, *(["main", "attic"] if both else ["main"]))


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("name", DELIVERIES)
def test_nothing_that_a_network_does_to_times_makes_a_sensor_mute(listener, name, format_name):
    heard = listener.hear(delivered(name, format_name, LOSS, seed=1))

    assert_told_apart(listener, heard, "main")


@pytest.mark.parametrize("packets", [1, 2, 5])
def test_a_sensor_that_restarts_again_and_again_is_told_in_words_and_once(
    listener, caplog, packets
):
    caplog.set_level(logging.WARNING)
    healthy, loop = Life("main", 0, 0.5), Life("main", 0.51, 1, reboot_every=packets)

    listener.hear([*healthy.sent(0, "v1", 1), *loop.sent(1, "v1", 1)])

    assert listener.health.report()["sensors"]["main"]["keeps_restarting"]
    assert caplog.text.count("restarts too often to give valid power readings") == 1

    listener.hear(Life("main", 1.01, 1.1).sent(2, "v1", 1))
    assert not listener.health.report()["sensors"]["main"]["keeps_restarting"]
