"""What a configured key makes of a packet, for the person who wonders why none arrives."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from Crypto.Cipher import AES

from cw_mqtt.decode.packets import NO_PADDING, V1_LAYOUT, SensorKey, read_plain
from cw_mqtt.model import Form, Packet


@dataclass(frozen=True, slots=True)
class Explained:
    """One payload under one sensor's key; nothing here is a secret."""

    payload: str
    sensor: str
    plausible: bool
    form: str
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


def explain_payload(payload: bytes, keys: Iterable[SensorKey]) -> Iterator[Explained]:
    """What each configured key makes of a payload of 16 bytes."""
    for key in keys:
        plain = AES.new(key.key, AES.MODE_ECB).decrypt(payload)
        read = read_plain(plain, payload, key)
        power_w, voltage_v, battery_mv, timer_ms, padding = V1_LAYOUT.unpack(plain)
        packet = read or Packet(power_w, voltage_v, battery_mv, timer_ms, padding, payload)
        yield Explained(
            payload.hex(),
            key.sensor,
            read is not None,
            str(packet.form),
            packet.power_w,
            packet.voltage_v,
            packet.battery_mv,
            packet.timer_ms,
            first_after_boot=packet.form is Form.V1 and packet.padding == NO_PADDING,
        )
