import struct

import pytest
from Crypto.Cipher import AES

from cw_mqtt.decode.packets import V1_1_TAG, Keyring, SensorKey
from cw_mqtt.model import Chain, Form, Heard
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
    assert opened.sensors == ("b",)


def test_a_packet_is_offered_to_all_sensors_that_share_its_key():
    first, second = payloads()[:2]
    known = keyring().open(first, "hall", no_chain)
    chains = {"a": Chain(), "b": Chain(newest=Heard(known.packet, 0.0))}

    opened = keyring(KEY, KEY).open(second, "hall", chains.__getitem__)

    assert (opened.sensors, opened.proven) == (("a", "b"), True)


def test_a_power_above_the_configured_maximum_is_not_plausible():
    ring = Keyring([SensorKey("a", KEY, max_power_w=700)])

    assert ring.open(payloads()[0], "hall", no_chain) is None  # 750 W


def test_a_sensor_is_heard_only_by_its_receivers():
    ring = Keyring([SensorKey("a", KEY, 36000, frozenset({"attic"}))])

    assert ring.open(payloads()[0], "hall", no_chain) is None
    assert ring.open(payloads()[0], "attic", no_chain) is not None


def encrypted(plain: bytes) -> bytes:
    return AES.new(KEY, AES.MODE_ECB).encrypt(plain)


def test_a_tag_in_the_padding_makes_a_packet_of_form_v1_1_which_proves_itself():
    payload = encrypted(struct.pack("<HHHI6s", 500, 240, 3300, 412, V1_1_TAG))

    opened = keyring().open(payload, "hall", no_chain)

    assert (opened.packet.form, opened.packet.power_w, opened.proven) == (Form.V1_1, 500, True)


def test_a_sensor_of_a_configured_form_accepts_no_other():
    ring = Keyring([SensorKey("a", KEY, 36000, form=Form.V1_1)])

    assert ring.open(payloads()[0], "hall", no_chain) is None
