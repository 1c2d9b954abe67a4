"""Which kind of receiver stands behind a port of the settings."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from cw_mqtt.acquire.fifo import open_fifo
from cw_mqtt.acquire.line import Line
from cw_mqtt.acquire.receiver import HandOver, Receiver
from cw_mqtt.acquire.replay import ReplayReceiver
from cw_mqtt.acquire.serial_port import open_serial, shown_port
from cw_mqtt.acquire.simulated import open_simulated
from cw_mqtt.config.settings import ReceiverSettings
from cw_mqtt.errors import UsageError
from cw_mqtt.health import Health
from cw_mqtt.stages import Service

DEVICE = "device"
NETWORK = ("socket", "rfc2217")


def make_receiver(
    settings: ReceiverSettings,
    folder: Path,
    keys: Sequence[bytes],
    hand_over: HandOver,
    health: Health,
) -> Service:
    """The service that listens to a receiver's port; nothing is opened yet.

    A relative path is meant from `folder`; `keys` are those of the sensors that `simulated:`
    simulates.
    Raises `UsageError` for a port of no known kind.
    """
    kind, place = split_port(settings.port)
    open_port = partial(open_serial, settings.port, settings.baudrate)
    openers: dict[str, Callable[[], Line]] = {
        **dict.fromkeys((DEVICE, "hwgrep", *NETWORK), open_port),
        "fifo": partial(open_fifo, folder / place),
        "simulated": partial(open_simulated, keys),
    }
    if kind not in openers and kind != "replay":
        raise UsageError(f"receiver {settings.name}: {unknown_kind(kind)}")
    shown = shown_port(settings.port)
    if kind in NETWORK and not has_host_and_port(settings.port):
        raise UsageError(f"receiver {settings.name}: {shown}: expected {kind}://host:port")
    health.show("receivers", settings.name, "port", value=shown)
    if kind == "replay":
        return ReplayReceiver(settings.name, folder / place, hand_over, health)
    return Receiver(settings.name, openers[kind], hand_over, health)


def split_port(port: str) -> tuple[str, str]:
    """A port's kind and the rest of it; a path is a device, also one with colons in it."""
    match = re.match(r"([a-z][a-z0-9+-]+):", port)
    return (match[1], port[match.end() :]) if match else (DEVICE, port)


def has_host_and_port(url: str) -> bool:
    """Whether a URL says both where and which port."""
    try:
        address = urlsplit(url)
        return bool(address.hostname and address.port)
    except ValueError:
        return False


def unknown_kind(kind: str) -> str:
    """Why a kind of port cannot be used."""
    if kind == "spi":
        return "spi: (a radio on the board's own SPI) is not supported yet; use a receiver on USB"
    return (
        f"{kind}: is no known kind of port; expected a device, socket://host:port, "
        "rfc2217://host:port, fifo:PATH, replay:PATH or simulated:"
    )
