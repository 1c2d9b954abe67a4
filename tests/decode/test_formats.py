"""A format is a file and a line in a table; everything else goes by these."""

import pytest
from Crypto.Cipher import AES

from cw_mqtt.commands.decode import explain_payload
from cw_mqtt.decode import formats
from cw_mqtt.decode.formats import FORMATS, Field, Format, format_of
from cw_mqtt.decode.packets import Keyring, SensorKey
from tests.packets import KEY

TURNED = Format(
    "turned",
    (
        Field("padding", 6),
        Field("timer", 4, "s"),
        Field("battery", 2, "mV", range(2000, 3601)),
        Field("voltage", 1, "V", range(100, 256)),
        Field("power", 2, "W"),
        Field("spare", 1),
    ),
    tag=b"turned",
)
VALUES = {"power": 60_000, "voltage": 230, "battery": 3000, "timer": 99, "spare": 7}


@pytest.fixture
def turned(monkeypatch):
    """A table with one more line."""
    monkeypatch.setattr(formats, "FORMATS", {"turned": TURNED, **FORMATS})
    monkeypatch.setattr("cw_mqtt.decode.packets.FORMATS", formats.FORMATS)


def encrypted(**changes):
    plain = TURNED.pack(padding=b"turned", **{**VALUES, **changes})
    return AES.new(KEY, AES.MODE_ECB).encrypt(plain)


def test_every_format_fills_a_block_and_is_recognised():
    for each in FORMATS.values():
        plain = each.pack(
            power=1, voltage=240, battery=3000, timer=5, padding=each.tag or b"before"
        )

        assert (len(plain), format_of(plain)) == (16, each)


@pytest.mark.usefixtures("turned")
def test_a_packet_of_a_new_format_is_decrypted_and_proves_itself():
    ring = Keyring([SensorKey("main", KEY, 90_000)], "hall", lambda _: ())

    (found,) = ring.open(encrypted())

    assert found.proven
    packet = found.packet
    assert (packet.format, packet.power_w, packet.voltage_v) == ("turned", 60_000, 230)
    assert (packet.battery_mv, packet.timer_ms) == (3000, 99)


@pytest.mark.usefixtures("turned")
def test_the_limits_of_a_new_format_are_kept():
    ring = Keyring([SensorKey("main", KEY, 90_000)], "hall", lambda _: ())

    assert ring.open(encrypted(battery=1500)) == ()


@pytest.mark.usefixtures("turned")
def test_each_byte_of_a_new_format_is_explained():
    (shown,) = explain_payload(encrypted(), [SensorKey("main", KEY, 90_000)])

    assert shown.plausible
    assert [check.bytes for check in shown.checks] == ["0-5", "6-9", "10-11", "12", "13-14", "15"]


def test_a_padding_that_noise_has_too_often_is_refused():
    with pytest.raises(ValueError, match="6 bytes"):
        Format("short", (Field("power", 2, "W"), Field("padding", 4)))
