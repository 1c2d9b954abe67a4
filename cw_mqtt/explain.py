"""What a configured key makes of a packet, for the person who wonders why none arrives."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from Crypto.Cipher import AES

from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.decode.packets import LAYOUT, NO_PADDING, read_block


@dataclass(frozen=True, slots=True)
class Explained:
    """One payload under one sensor's key; nothing here is a secret."""

    payload: str
    sensor: str
    plausible: bool
    power_w: int
    voltage_v: int
    battery_mv: int
    timer_ms: int
    first_after_boot: bool

    def fields(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    def text(self) -> str:
        """As people read it."""
        values = f"{self.power_w} W, {self.voltage_v} V, {self.battery_mv} mV, {self.timer_ms} ms"
        if not self.plausible:
            return f"{self.payload}  {self.sensor}: not this sensor's key ({values})"
        boot = ", first after a boot" if self.first_after_boot else ""
        return f"{self.payload}  {self.sensor}: {values}{boot}"


def explain_payload(payload: bytes, sensors: Iterable[SensorSettings]) -> Iterator[Explained]:
    """What each configured key makes of a payload of 16 bytes."""
    for sensor in sensors:
        for key in (sensor.key, *sensor.previous_keys):
            decrypt = AES.new(key.get_secret_value(), AES.MODE_ECB).decrypt
            plausible = read_block(payload, decrypt, sensor.max_power_w) is not None
            power_w, voltage_v, battery_mv, timer_ms, padding = LAYOUT.unpack(decrypt(payload))
            first = plausible and padding == NO_PADDING
            values = (power_w, voltage_v, battery_mv, timer_ms)
            yield Explained(payload.hex(), sensor.slug, plausible, *values, first)
