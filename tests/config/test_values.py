import pytest
from pydantic_core import PydanticCustomError

from cw_mqtt.config.values import KEY_PROBLEM, parse_host, parse_key, parse_port

EXAMPLE = bytes(range(16))


@pytest.mark.parametrize(
    "text",
    [
        "000102030405060708090a0b0c0d0e0f",
        "000102030405060708090A0B0C0D0E0F",
        "0-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15",
    ],
)
def test_a_key_is_hex_digits_or_bytes(text: str) -> None:
    assert parse_key(text) == EXAMPLE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "canary",
        "000102030405060708090a0b0c0d0e",
        "000102030405060708090a0b0c0d0e0f00",
        "0-1-2-3-4-5-6-7-8-9-10-11-12-13-14",
        "0-1-2-3-4-5-6-7-8-9-10-11-12-13-14-256",
        b"short",
        ["0"],
    ],
)
def test_anything_else_is_no_key_and_is_not_shown(text: object) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        parse_key(text)

    assert str(refused.value) == KEY_PROBLEM


@pytest.mark.parametrize(
    "port",
    [
        "/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0",
        "/dev/pci-0000:00:14.0",
        "socket://attic.local:5000",
        "rfc2217://me:secret@[::1]:5000",
        "socket://[fe80::1%eth0]:5000",
        "fifo:/tmp/sensor",
        "replay:captures/hall.cwcap",
        "spi:0.0",
        "simulated:",
    ],
)
def test_a_port_is_a_device_or_a_kind_and_a_place(port: str) -> None:
    assert parse_port(port) == port


@pytest.mark.parametrize(
    ("port", "reason"),
    [
        ("spi:", "expected spi:BUS.DEVICE, such as spi:0.0"),
        ("spi:/dev/spidev0.0", "expected spi:BUS.DEVICE"),
        ("carrier-pigeon:x", "carrier-pigeon: is not a known kind of port"),
        ("http://attic.local:5000", "http: is not a known kind of port"),
        ("socket://attic.local", "expected socket://host:port"),
        ("socket://attic local:5000", "expected socket://host:port"),
        ("socket://::1:5000", "expected socket://host:port"),
        ("socket://me:secret@:5000", "^expected socket://host:port$"),
        ("rfc2217://attic.local:soon", "expected rfc2217://host:port"),
        ("fifo:", "expected fifo:PATH"),
    ],
)
def test_a_port_of_no_known_kind_is_refused(port: str, reason: str) -> None:
    with pytest.raises(PydanticCustomError, match=reason):
        parse_port(port)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("localhost", "localhost"),
        ("my_broker", "my_broker"),
        ("broker.local.", "broker.local."),
        ("bücher.example", "bücher.example"),
        ("192.168.1.7", "192.168.1.7"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("[fe80::1%eth0]", "fe80::1%eth0"),
    ],
)
def test_a_host_is_a_name_or_an_address(written: str, meant: str) -> None:
    assert parse_host(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "",
        "*",
        "mqtt://broker",
        "broker:1883",
        "[broker]",
        "[::1]:1883",
        "192.168.1",
        "1883",
        "two words",
        "fe80::1% eth0",
        "me@broker",
        "two..dots",
        "x" * 64,
    ],
)
def test_what_nothing_can_connect_to_is_no_host(written: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the setting says what was expected
        parse_host(written)
