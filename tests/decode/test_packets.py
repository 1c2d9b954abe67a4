import pytest

from cw_mqtt.decode.packets import Keyring, SensorKey
from cw_mqtt.model import Chain
from tests.packets import KEY, OTHER_KEY, RECORDED, STREAMS, keyring, no_chain, payloads

EVERY_PACKET = [packet for stream in STREAMS for packet in RECORDED["streams"][stream]]


@pytest.mark.parametrize("recorded", EVERY_PACKET, ids=lambda packet: packet["packet_hex"])
def test_every_recorded_packet_is_read_as_the_firmware_meant_it(recorded):
    opened = keyring().open(bytes.fromhex(recorded["packet_hex"]), "hall", no_chain)

    assert opened is not None
    packet = opened.packet
    assert (packet.power_w, packet.voltage_v, packet.battery_mv, packet.timer_ms) == (
        recorded["power_w"],
        recorded["voltage_v"],
        recorded["battery_mv"],
        recorded["timer_ms"],
    )
    assert packet.padding.hex() == recorded["plain_hex"][20:]
    assert packet.tail.hex() == recorded["packet_hex"][20:]


@pytest.mark.parametrize("payload", payloads(), ids=bytes.hex)
def test_a_wrong_key_opens_no_packet(payload):
    assert keyring(OTHER_KEY).open(payload, "hall", no_chain) is None


def test_the_sensor_is_the_one_whose_key_fits():
    opened = keyring(OTHER_KEY, KEY).open(payloads()[0], "hall", no_chain)

    assert opened is not None
    assert opened.sensor == "b"


def test_under_one_key_the_sensor_is_the_one_whose_chain_continues():
    first, second = payloads()[:2]
    chains = {"a": Chain(tail=b"abcdef"), "b": Chain(tail=first[-6:])}

    opened = keyring(KEY, KEY).open(second, "hall", chains.__getitem__)

    assert opened is not None
    assert (opened.sensor, opened.proven) == ("b", True)


def test_a_power_above_the_configured_maximum_is_not_plausible():
    ring = Keyring([SensorKey("a", KEY, max_power_w=700)])

    assert ring.open(payloads()[0], "hall", no_chain) is None  # 750 W


def test_a_sensor_is_heard_only_by_its_receivers():
    ring = Keyring([SensorKey("a", KEY, 36000, frozenset({"attic"}))])

    assert ring.open(payloads()[0], "hall", no_chain) is None
    assert ring.open(payloads()[0], "attic", no_chain) is not None
