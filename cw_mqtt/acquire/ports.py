"""Which kind of receiver stands behind a port of the settings."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from cw_mqtt.acquire.receiver import HandOver, Receiver
from cw_mqtt.acquire.replay import ReplayReceiver
from cw_mqtt.acquire.serial_port import Line, open_fifo, open_serial, shown_port
from cw_mqtt.acquire.simulated import open_simulated
from cw_mqtt.acquire.spi import open_spi
from cw_mqtt.config.settings import ReceiverSettings, SensorSettings
from cw_mqtt.config.values import DEVICE, NETWORK, split_port
from cw_mqtt.runtime.health import Health
from cw_mqtt.runtime.stages import Service


def make_receiver(
    settings: ReceiverSettings,
    folder: Path,
    sensors: Sequence[SensorSettings],
    hand_over: HandOver,
    health: Health,
    of_use_s: Callable[[], float] | None = None,
) -> Service:
    """The service that listens to a receiver's port; nothing is opened yet.

    A relative path is meant from `folder`; `sensors` are those that `simulated:` simulates.
    `of_use_s` is as for `Receiver`.
    """
    kind, place = split_port(settings.port)
    open_port = partial(open_serial, settings.port, settings.baudrate)
    openers: dict[str, Callable[[], Line]] = {
        **dict.fromkeys((DEVICE, "hwgrep", *NETWORK), open_port),
        "fifo": partial(open_fifo, folder / place),
        "spi": partial(open_spi, place),
        "simulated": partial(open_simulated, sensors),
    }
    health.show("receivers", settings.name, "port", value=shown_port(settings.port))
    if kind == "replay":
        return ReplayReceiver(settings.name, folder / place, hand_over, health)
    return Receiver(settings.name, openers[kind], hand_over, health, of_use_s=of_use_s)
