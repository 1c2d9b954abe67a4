"""The radio on the board's own SPI, with a radio object in the place of pyrf24's."""

import sys
from collections import deque
from types import SimpleNamespace

import pytest

from cw_mqtt.acquire.receiver import Receiver
from cw_mqtt.acquire.spi import open_spi
from cw_mqtt.errors import ResourceAwayError
from tests.acquire.conftest import Serving
from tests.waiting import wait_until

FRAME = bytes.fromhex("4e8c318a0979728c76971ccc6db512d7")
NEXT_FRAME = bytes.fromhex("bf5a1651f804b62175b81f23891d1886")


class FakeRadio:
    """An nRF24L01+ as pyrf24 shows it; `air` is what it has heard and was not asked for yet."""

    answers = True

    def __init__(self, ce_pin: int, csn_pin: int) -> None:
        self.pins = (ce_pin, csn_pin)
        self.air: deque[bytes] = deque()
        self.channel, self.power, self.listen = 2, True, False
        self.pipes: dict[int, bytes] = {}

    def begin(self) -> bool:
        return self.answers

    def set_auto_ack(self, enable: bool) -> None:
        self.auto_ack = enable

    def open_rx_pipe(self, pipe: int, address: bytes) -> None:
        self.pipes[pipe] = address

    def available(self) -> bool:
        return bool(self.air)

    def read(self, length: int) -> bytearray:
        return bytearray(self.air.popleft()[:length])


class NoSpi(FakeRadio):
    def begin(self) -> bool:
        raise RuntimeError("Can't open device /dev/spidev0.0")


class Deaf(FakeRadio):
    answers = False


def install(monkeypatch: pytest.MonkeyPatch, kind: type[FakeRadio]) -> list[FakeRadio]:
    """Put a radio of this kind where pyrf24 would find one; gives each that is made."""
    made: list[FakeRadio] = []

    def make(ce_pin: int, csn_pin: int) -> FakeRadio:
        made.append(kind(ce_pin, csn_pin))
        return made[-1]

    library = SimpleNamespace(RF24=make, RF24_250KBPS="250 kbit/s", RF24_CRC_16="CRC-16")
    monkeypatch.setitem(sys.modules, "pyrf24", library)
    return made


def test_the_radio_is_set_up_as_the_sensors_send(monkeypatch: pytest.MonkeyPatch) -> None:
    made = install(monkeypatch, FakeRadio)

    open_spi("0.1")

    settings = {name: value for name, value in vars(made[0]).items() if name != "air"}
    assert settings == {
        "pins": (22, 1),
        "channel": 76,
        "data_rate": "250 kbit/s",
        "crc_length": "CRC-16",
        "payload_size": 16,
        "auto_ack": True,
        "pipes": {1: bytes.fromhex("d046d456e0")},
        "listen": True,
        "power": True,
    }


def test_each_packet_is_handed_over(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    made = install(monkeypatch, FakeRadio)
    append, health = serving.chunks.append, serving.health
    serving.start(Receiver("attic", lambda: open_spi("0.0"), append, health))

    made[0].air.extend((FRAME, NEXT_FRAME))

    wait_until(lambda: serving.contents == [FRAME, NEXT_FRAME, b""])
    serving.stop()
    assert not made[0].power


@pytest.mark.parametrize("channel", [2, 0, 255])
def test_a_radio_that_lost_its_settings_is_away(
    monkeypatch: pytest.MonkeyPatch, channel: int
) -> None:
    made = install(monkeypatch, FakeRadio)
    line = open_spi("0.0")
    made[0].air.append(bytes(16))  # a line stuck at 0 looks so

    made[0].channel = channel

    with pytest.raises(ResourceAwayError, match="has lost its settings"):
        line.read(0.0)


@pytest.mark.parametrize(("kind", "advice"), [(NoSpi, "enable SPI"), (Deaf, "check its wires")])
def test_what_is_missing_is_said_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, kind: type[FakeRadio], advice: str
) -> None:
    install(monkeypatch, kind)

    with pytest.raises(ResourceAwayError, match=advice):
        open_spi("0.0")


def test_without_pyrf24_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyrf24", None)

    with pytest.raises(ResourceAwayError, match="pip install pyrf24"):
        open_spi("0.0")
