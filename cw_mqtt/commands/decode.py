"""`cw-mqtt decode`: what each key makes of a packet, check by check.

docs/packets.md has the layouts. Nothing that is said here is a secret.
"""

import json
from collections.abc import Container, Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import click
from Crypto.Cipher import AES

from cw_mqtt.commands.common import AS_JSON, load
from cw_mqtt.config.keys import refuse_keys, sensor_keys
from cw_mqtt.decode.formats import Format, format_of
from cw_mqtt.decode.packets import NO_PADDING, SensorKey, read_plain
from cw_mqtt.errors import UsageError
from cw_mqtt.model import BLOCK_SIZE


@click.command("decode")
@click.argument("payloads", nargs=-1, required=True, metavar="HEX...")
@AS_JSON
@click.pass_obj
def decode_command(config: Path | None, payloads: tuple[str, ...], *, as_json: bool) -> None:
    """Decrypt packets with the configured keys, and say what each key makes of them.

    HEX is a packet as the receiver hands it over: 32 hex digits, with or without spaces.
    """
    settings, _ = load(config)
    keys = sensor_keys(settings.sensors)
    for number, text in enumerate(payloads, 1):
        try:
            payload = bytes.fromhex(text)
        except ValueError:
            payload = b""
        if len(payload) != BLOCK_SIZE:  # the text is not shown: it may be a key
            raise UsageError(f"HEX {number}: expected 32 hex digits, the 16 bytes of one packet")
        refuse_keys(payload, keys)
        for explained in explain_payload(payload, keys):
            click.echo(json.dumps(explained.fields()) if as_json else explained.text())


class Proof(StrEnum):
    """What in a packet noise has by chance once in 2^48 times."""

    BOOT = "boot"  # v1: zero padding, the first packet after a boot
    CHAIN = "chain"  # v1: the padding is the end of a packet heard before
    TAG = "tag"  # v1.1


PROVES = {
    None: "continues no packet given here",
    Proof.BOOT: "zeros, as in the first packet after a boot",
    Proof.CHAIN: "the end of a packet before it",
    Proof.TAG: "the tag of its format",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One field of a decrypted packet; `passed` None: any value is right, and proves nothing."""

    field: str
    bytes: str
    raw: str
    value: str
    limit: str
    passed: bool | None


@dataclass(frozen=True, slots=True)
class Explained:
    """One payload under one sensor's key."""

    payload: str
    sensor: str
    plausible: bool
    form: str
    power_w: int
    voltage_v: int
    battery_mv: int
    timer_ms: int
    first_after_boot: bool
    proof: Proof | None
    checks: tuple[Check, ...]

    def fields(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    def refusal(self) -> str:
        """Which checks fail."""
        failed = (check for check in self.checks if check.passed is False)
        return "; ".join(f"{c.field} is {c.value}, expected {c.limit}" for c in failed)

    def text(self) -> str:
        """As people read it."""
        shown = ", ".join(
            check.value if check.limit or check.field == "timer" else f"{check.field} {check.value}"
            for check in self.checks
            if check.field not in ("padding", "format")
        )
        if not self.plausible and self.proof:
            return f"{self.payload}  {self.sensor}: its key, but refused: {self.refusal()}"
        if not self.plausible:
            return f"{self.payload}  {self.sensor}: not this sensor's key ({shown})"
        boot = ", first after a boot" if self.first_after_boot else ""
        return f"{self.payload}  {self.sensor}: {shown}{boot}"


def explain_payload(payload: bytes, keys: Iterable[SensorKey]) -> Iterator[Explained]:
    """What each configured key makes of a payload of 16 bytes."""
    for key in keys:
        yield explain_plain(AES.new(key.key, AES.MODE_ECB).decrypt(payload), payload, key)


def explain_plain(
    plain: bytes, payload: bytes, key: SensorKey, tails: Container[bytes] = ()
) -> Explained:
    """What a decrypted payload says; `tails` are the ends of packets that may be before it."""
    shown = format_of(plain)
    values = shown.values(plain)
    proof = _proof(shown, values["padding"], tails)
    checks = list(_checks(plain, shown, key.max_power_w, proof))
    if key.format:
        expected = f"{key.format} as configured"
        checks.append(Check("format", "", "", shown.name, expected, shown.name == key.format))
    return Explained(
        payload.hex(),
        key.sensor,
        read_plain(plain, payload, key) is not None,
        shown.name,
        values["power"],
        values["voltage"],
        values["battery"],
        values["timer"],
        proof is Proof.BOOT,
        proof,
        tuple(checks),
    )


def _proof(shown: Format, padding: bytes, tails: Container[bytes]) -> Proof | None:
    """What proves that a block was decrypted with its sender's key."""
    if shown.proves_itself:
        return Proof.TAG
    if padding == NO_PADDING:
        return Proof.BOOT
    return Proof.CHAIN if padding in tails else None


def _checks(
    plain: bytes, shown: Format, max_power_w: float, proof: Proof | None
) -> Iterator[Check]:
    """Each field with its value, what it may be, and whether it is."""
    start, values = 0, shown.values(plain)
    for field in shown.fields:
        end = start + field.size
        place = f"{start}-{end - 1}" if field.size > 1 else str(start)
        raw, value = plain[start:end].hex(), values[field.name]
        limit = range(int(max_power_w) + 1) if field.name == "power" else field.limit
        start = end
        if field.name == "padding":
            yield Check(field.name, place, raw, PROVES[proof], "", True if proof else None)
        elif limit is None:
            yield Check(field.name, place, raw, f"{value} {field.unit}".strip(), "", None)
        else:
            said = f"{limit[0]} to {limit[-1]} {field.unit}"
            yield Check(field.name, place, raw, f"{value} {field.unit}", said, value in limit)
