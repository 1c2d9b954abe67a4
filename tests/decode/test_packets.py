import struct
from random import Random

import pytest
from Crypto.Cipher import AES

from cw_mqtt.decode.formats import V1_1
from cw_mqtt.decode.packets import Keyring, SensorKey, fingerprint
from tests.packets import KEY, OTHER_KEY, RECORDED, STREAMS, keyring, payloads

EVERY_PACKET = [packet for stream in STREAMS for packet in RECORDED["streams"][stream]]


@pytest.mark.parametrize("recorded", EVERY_PACKET, ids=lambda packet: packet["packet_hex"])
def test_every_recorded_packet_is_read_as_the_firmware_meant_it(recorded):
    (opened,) = keyring().open(bytes.fromhex(recorded["packet_hex"]))

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
    assert keyring(OTHER_KEY).open(payload) == ()


def test_the_sensor_is_the_one_whose_key_fits():
    (opened,) = keyring(OTHER_KEY, KEY).open(payloads()[0])

    assert (opened.key, opened.sensors) == (fingerprint(KEY), ("b",))


def test_a_packet_is_offered_to_all_sensors_that_share_its_key():
    (opened,) = keyring(KEY, KEY).open(payloads()[1])

    assert (opened.sensors, opened.proven) == (("a", "b"), False)


def test_a_packet_that_continues_a_known_one_is_proven():
    (opened,) = keyring(tails=[payloads()[0][-6:]]).open(payloads()[1])

    assert opened.proven


def many_keys(count):
    return [SensorKey(str(n), Random(n).randbytes(16), 36000) for n in range(count)]


@pytest.mark.parametrize("payload", payloads()[1:5], ids=bytes.hex)
def test_all_keys_under_which_a_packet_is_plausible_are_candidates(payload):
    keys = [*many_keys(20_000), SensorKey("a", KEY, 36000)]

    decryptions = Keyring(keys, "hall", lambda _: ()).open(payload)

    assert fingerprint(KEY) in {opened.key for opened in decryptions}
    assert 1 < len(decryptions) < 15


def test_of_many_keys_the_one_that_proves_a_packet_is_the_only_candidate():
    first, second = payloads()[:2]
    ring = Keyring(
        [*many_keys(20_000), SensorKey("a", KEY, 36000)], "hall", lambda _: (first[-6:],)
    )

    assert [opened.sensors for opened in ring.open(second)] == [("a",)]


def test_a_power_above_the_configured_maximum_is_not_plausible():
    ring = Keyring([SensorKey("a", KEY, max_power_w=700)], "hall", lambda _: ())

    assert ring.open(payloads()[0]) == ()  # 750 W


@pytest.mark.parametrize(("receiver", "count"), [("hall", 0), ("attic", 1)])
def test_a_sensor_is_heard_only_by_its_receivers(receiver, count):
    ring = Keyring([SensorKey("a", KEY, 36000, frozenset({"attic"}))], receiver, lambda _: ())

    assert len(ring.open(payloads()[0])) == count


def encrypted(plain: bytes) -> bytes:
    return AES.new(KEY, AES.MODE_ECB).encrypt(plain)


def test_a_tag_in_the_padding_makes_a_packet_of_format_v1_1_which_proves_itself():
    payload = encrypted(struct.pack("<HHHI6s", 500, 240, 3300, 412, V1_1.tag))

    (opened,) = keyring().open(payload)

    assert (opened.packet.format, opened.packet.power_w, opened.proven) == ("v1.1", 500, True)


def test_a_sensor_of_a_configured_form_accepts_no_other():
    ring = Keyring([SensorKey("a", KEY, 36000, format="v1.1")], "hall", lambda _: ())

    assert ring.open(payloads()[0]) == ()
