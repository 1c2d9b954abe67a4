"""The radio on this computer's own SPI, by pyrf24: an nRF24L01+ without a receiver board."""

import time
from typing import Any

from cw_mqtt.acquire.serial_port import Line
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.model import BLOCK_SIZE

CE_GPIO = 22
CHANNEL = 76
PIPE = 1
ADDRESS = 0xE056D446D0.to_bytes(5, "little")
BETWEEN_LOOKS_S = 0.02  # the radio holds three packets


def open_spi(place: str) -> Line:
    """Set up the radio at `place`, a bus and device such as `0.0`, and listen.

    Raises `ResourceAwayError` with what to do when pyrf24, SPI or the radio is missing.
    """
    try:
        import pyrf24
    except ImportError as error:
        raise ResourceAwayError(
            "spi: needs the package pyrf24: .venv/bin/python -m pip install pyrf24"
        ) from error
    bus, device = place.split(".")
    try:
        radio = pyrf24.RF24(CE_GPIO, int(bus) * 10 + int(device))
        answers = radio.begin()
    except RuntimeError as error:
        raise ResourceAwayError(
            f"spi:{place} cannot be used ({error}): enable SPI (`sudo raspi-config`, Interface "
            "Options) and add the user to the groups spi and gpio"
        ) from error
    if not answers:
        raise ResourceAwayError(
            f"no radio answers at spi:{place}: check its wires and its 3.3 V, and that it is an "
            f"nRF24L01+ with CE on GPIO {CE_GPIO}"
        )
    radio.channel = CHANNEL
    radio.data_rate = pyrf24.RF24_250KBPS
    radio.crc_length = pyrf24.RF24_CRC_16
    radio.payload_size = BLOCK_SIZE
    radio.set_auto_ack(True)
    radio.open_rx_pipe(PIPE, ADDRESS)
    radio.listen = True
    return SpiLine(radio, f"spi:{place}")


class SpiLine:
    """A line whose bytes are the packets that the radio hears, 16 at a time."""

    def __init__(self, radio: Any, port: str) -> None:
        self._radio = radio
        self._port = port

    def read(self, timeout_s: float) -> bytes:
        """See `Line.read`."""
        until_s = time.monotonic() + timeout_s
        while not self._has_heard():
            if time.monotonic() >= until_s:
                return b""
            time.sleep(BETWEEN_LOOKS_S)
        return bytes(self._radio.read(BLOCK_SIZE))

    def close(self) -> None:
        """See `Line.close`."""
        self._radio.power = False

    def _has_heard(self) -> bool:
        """A radio that browned out has another channel, one whose wires are loose 0 or 255."""
        heard = bool(self._radio.available())
        if self._radio.channel != CHANNEL:
            raise ResourceAwayError(
                f"the radio at {self._port} has lost its settings: check its 3.3 V, with 10 uF "
                "close to it, and its wires"
            )
        return heard
