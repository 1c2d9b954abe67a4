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
from cw_mqtt.decode.keys import refuse_keys, sensor_keys
from cw_mqtt.decode.packets import (
    BATTERY_MV,
    MAINS_V,
    NO_PADDING,
    V1_1_TAG,
    SensorKey,
    read_plain,
)
from cw_mqtt.errors import UsageError
from cw_mqtt.model import BLOCK_SIZE, TAIL_SIZE, Form


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
    Proof.TAG: f"the tag {V1_1_TAG.decode()}",
}


@dataclass(frozen=True, slots=True)
class Field:
    """Bytes `start` to `end` (not included) of a decrypted packet."""

    name: str
    start: int
    end: int
    unit: str = ""


FIELDS = (
    Field("power", 0, 2, "W"),
    Field("voltage", 2, 4, "V"),
    Field("battery", 4, 6, "mV"),
    Field("timer", 6, 10, "ms"),
    Field("padding", 10, 16),
)


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
            if check.field not in ("padding", "form")
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
    form = form_of(plain)
    proof = proof_of(plain, form, tails)
    values = {field.name: value_of(field, plain) for field in FIELDS}
    checks = [check_of(field, plain, key.max_power_w, proof) for field in FIELDS]
    if key.form:
        checks.append(Check("form", "", "", form, f"{key.form} as configured", form is key.form))
    return Explained(
        payload.hex(),
        key.sensor,
        read_plain(plain, payload, key) is not None,
        str(form),
        values["power"],
        values["voltage"],
        values["battery"],
        values["timer"],
        proof is Proof.BOOT,
        proof,
        tuple(checks),
    )


def form_of(plain: bytes) -> Form:
    """The form that a decrypted block has; v1 when it has the mark of none."""
    return Form.V1_1 if plain.endswith(V1_1_TAG) else Form.V1


def proof_of(plain: bytes, form: Form, tails: Container[bytes]) -> Proof | None:
    """What proves that a block was decrypted with its sender's key."""
    if form is not Form.V1:
        return Proof.TAG
    padding = plain[-TAIL_SIZE:]
    if padding == NO_PADDING:
        return Proof.BOOT
    return Proof.CHAIN if padding in tails else None


def check_of(field: Field, plain: bytes, max_power_w: float, proof: Proof | None) -> Check:
    """One field with its value, what it may be, and whether it is."""
    place = f"{field.start}-{field.end - 1}" if field.end - field.start > 1 else str(field.start)
    raw = plain[field.start : field.end].hex()
    if field.name == "padding":
        return Check(field.name, place, raw, PROVES[proof], "", True if proof else None)
    value = value_of(field, plain)
    shown = f"{value} {field.unit}".strip()
    limits = {"power": range(int(max_power_w) + 1), "voltage": MAINS_V, "battery": BATTERY_MV}
    limit = limits.get(field.name)
    if limit is None:
        return Check(field.name, place, raw, shown, "", None)
    said = f"{limit[0]} to {limit[-1]} {field.unit}"
    return Check(field.name, place, raw, shown, said, value in limit)


def value_of(field: Field, plain: bytes) -> int:
    """The number in a field."""
    return int.from_bytes(plain[field.start : field.end], "little")
