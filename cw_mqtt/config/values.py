"""Single values as people write them in config.yaml, turned into what the bridge works with.

A text that cannot be one raises pydantic's custom error, which says what was expected and never
what was found: the loader adds that, unless it is a secret.
"""

import ipaddress
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import ValidationError, ValidationInfo, WrapValidator
from pydantic_core import PydanticCustomError

Entry = TypeVar("Entry")

KEY_BYTES = 16
DAY_S = 86_400
DAY = timedelta(days=1)
WEEKDAYS: dict[str, tuple[int, ...]] = {
    **{name: (day,) for day, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))},
    "workdays": (0, 1, 2, 3, 4),
    "weekend": (5, 6),
}
DEVICE = "device"
NETWORK = ("socket", "rfc2217")
PORTS = (DEVICE, "hwgrep", *NETWORK, "fifo", "replay", "spi", "simulated")
KEY_PROBLEM = "expected 32 hex digits in quotes, or 16 bytes as 0-1-2-...-15"
ZONE_FILE = Path("/etc/localtime")


@dataclass(frozen=True, slots=True)
class HourWindow:
    """A part of a day, in seconds after local midnight; over midnight when it ends earlier.

    It holds its start and not its end.
    """

    start_s: int
    end_s: int

    @property
    def edges(self) -> tuple[int, int]:
        """Its start and its end."""
        return self.start_s, self.end_s

    def before_midnight(self, second: int) -> bool:
        """Whether it holds a second of the day on which it begins."""
        return self.start_s <= second and (second < self.end_s or self.end_s < self.start_s)

    def after_midnight(self, second: int) -> bool:
        """Whether it holds a second of the next day."""
        return second < self.end_s < self.start_s


def wrong(problem: str, *at: str | int) -> PydanticCustomError:
    """The error to raise for a value that cannot be used, or for what stands `at` in it."""
    return PydanticCustomError("wrong", "{problem}", {"problem": problem, "at": at})


def expected(words: str) -> WrapValidator:
    """Say `expected <words>` whatever pydantic finds wrong with the value."""

    def validate(value: object, inner: Callable[[object], Any]) -> Any:
        try:
            return inner(value)
        except (ValidationError, ValueError):
            raise PydanticCustomError("expected", "expected {words}", {"words": words}) from None

    return WrapValidator(validate)


def parse_key(value: object) -> bytes:
    """An AES key of 16 bytes, written as 32 hex digits or as `0-1-2-...-15`."""
    if isinstance(value, bytes) and len(value) == KEY_BYTES:
        return value
    text = value if isinstance(value, str) else ""
    if re.fullmatch(r"[0-9a-fA-F]{32}", text):
        return bytes.fromhex(text)
    numbers = (
        [int(n) for n in text.split("-")] if re.fullmatch(r"\d{1,3}(-\d{1,3}){15}", text) else []
    )
    if not numbers or max(numbers) > 255:
        raise wrong(KEY_PROBLEM)
    return bytes(numbers)


def parse_slug(value: str) -> str:
    """A sensor's name in topics; `bridge` is taken by the bridge's own topics."""
    if value == "bridge":
        raise wrong('"bridge" is the name of the bridge\'s own topics; choose another slug')
    if not re.fullmatch(r"[a-z0-9_-]{1,32}", value):
        raise wrong("expected 1 to 32 of the characters a-z, 0-9, _ and -")
    return value


def parse_port(value: str) -> str:
    """Where a receiver is: a device, or a kind of port and its place."""
    kind, place = split_port(value)
    if kind not in PORTS:
        raise wrong(
            f"{kind}: is not a known kind of port; expected a device, socket://host:port, "
            "rfc2217://host:port, fifo:PATH, replay:PATH, spi:BUS.DEVICE or simulated:"
        )
    if kind in NETWORK and not has_host_and_port(value):
        raise wrong(f"expected {kind}://host:port")
    if kind in ("fifo", "replay") and not place:
        raise wrong(f"expected {kind}:PATH")
    if kind == "spi" and not re.fullmatch(r"\d\.\d", place):
        raise wrong("expected spi:BUS.DEVICE, such as spi:0.0")
    return value


def split_port(port: str) -> tuple[str, str]:
    """A port's kind and the rest of it; a path is a device, also one with colons in it."""
    match = re.match(r"([a-z][a-z0-9+-]+):", port)
    return (match[1], port[match.end() :]) if match else (DEVICE, port)


def has_host_and_port(url: str) -> bool:
    """Whether a URL says both where and which port."""
    try:
        address = urlsplit(url)
        return bool(address.port and parse_host(address.hostname or ""))
    except ValueError:
        return False


def parse_host(value: str) -> str:
    """A host name or an address; of an IPv6 address the brackets go, which belong to a URL.

    Raises `ValueError` for what no connection could be made to.
    """
    host = value[1:-1] if re.fullmatch(r"\[\S*\]", value) else value
    if ":" in host or re.fullmatch(r"[\d.]*", host) or host != value:
        ipaddress.ip_address(host)
    elif not re.fullmatch(r"[\w.-]+", host) or not host.encode("idna"):
        raise ValueError
    if re.search(r"\s", host):
        raise ValueError  # in the zone of an address such as fe80::1%eth0
    return host


def in_url(host: str) -> str:
    """A host as it stands before a port."""
    return f"[{host}]" if ":" in host else host


def parse_topic(value: str) -> str:
    """A topic to publish below."""
    if not value or value.startswith("/") or value.endswith("/") or set("+#\0") & set(value):
        raise wrong("expected a topic without +, # and without / at its ends")
    return value


def parse_hours(value: object) -> HourWindow:
    """`22:30-06:30`, local time."""
    if isinstance(value, HourWindow):
        return value
    match = re.fullmatch(r"(\d{1,2}):([0-5]\d) ?- ?(\d{1,2}):([0-5]\d)", str(value))
    if match is None:
        raise ValueError
    hours, minutes, end_hours, end_minutes = map(int, match.groups())
    window = HourWindow(hours * 3600 + minutes * 60, end_hours * 3600 + end_minutes * 60)
    if window.start_s == window.end_s or max(window.edges) > DAY_S:
        raise ValueError
    return window


def parse_days(value: object) -> tuple[int | date, ...]:
    """`sat`, `weekend`, `workdays` or `2026-01-12`: numbers of weekdays from Monday, or a day."""
    if isinstance(value, tuple):
        return value
    text = str(value).lower()
    return WEEKDAYS.get(text) or (date.fromisoformat(text),)


def parse_tariff(value: object) -> str:
    """A tariff's name, which is part of the names of topics' values and of ids."""
    if not re.fullmatch(r"[a-z0-9_]{1,32}", str(value)):
        raise ValueError
    return str(value)


def parse_keep(value: object) -> object:
    """`forever` becomes None, `400 days` a duration."""
    if value == "forever":
        return None
    match = re.fullmatch(r"([1-9]\d{0,5}) days?", str(value))
    return timedelta(days=int(match[1])) if match else value


def parse_address(value: str) -> str:
    """An IP address or network."""
    ipaddress.ip_network(value)
    return value


def parse_database_url(url: str) -> str:
    """The address of a PostgreSQL database, its password apart."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("postgresql", "postgres") and len(parts.path) > 1
        usable = usable and parts.port != 0  # reading the port checks it
    except ValueError:
        usable = False
    if not usable:
        raise wrong("expected postgresql://user@host/database, or no url for SQLite")
    if parts.password:
        raise wrong("a password is here and in password; expected one of them")
    return url


def at_least_one(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """A list that may not be empty."""
    if not entries:
        raise wrong("expected at least one")
    return entries


def parse_timezone(value: object) -> ZoneInfo:
    """A zone by its IANA name; without one, that of this computer."""
    if value is None:
        return system_timezone()
    if isinstance(value, ZoneInfo):
        return value
    try:
        return ZoneInfo(str(value))
    except (LookupError, OSError, ValueError):  # a folder of zones is an OSError
        raise wrong("expected the name of a time zone, such as Europe/Paris") from None


def system_timezone() -> ZoneInfo:
    """The zone this computer is set to, by TZ or /etc/localtime; UTC when it has neither.

    Raises pydantic's custom error for a TZ or a file that is no zone: hours would be wrong.
    """
    told = os.environ.get("TZ", "").removeprefix(":")
    file = Path(told) if told.startswith("/") else ZONE_FILE
    try:
        if told and not told.startswith("/"):
            return ZoneInfo(told)
        with suppress(LookupError, OSError, ValueError):  # a link says which zone it is
            return ZoneInfo(os.path.realpath(file).partition("zoneinfo/")[2])
        if not told and not os.path.lexists(file):
            return ZoneInfo("UTC")
        with file.open("rb") as content:
            return ZoneInfo.from_file(content, key=str(file))
    except (LookupError, OSError, ValueError):
        source = f'the environment variable TZ, "{told:.40}",' if told else str(file)
        raise wrong(
            f"{source} is no time zone known here; set timezone, such as Europe/Paris"
        ) from None


def beside(folder: Path, path: str | Path) -> Path:
    """A path as meant by a file in this folder. Links stay: certificates behind them change."""
    expanded = os.path.expanduser(path)  # noqa: PTH111 - Path's raises for an unknown user
    return (folder / expanded).absolute()


def beside_settings(path: Path, info: ValidationInfo) -> Path:
    """A relative path is meant from the settings file's folder (the context), not from the cwd."""
    return beside(info.context["folder"] if info.context else Path(), path)


def existing_file(path: Path, info: ValidationInfo) -> Path:
    """A file of certificates or keys, which must be there."""
    path = beside_settings(path, info)
    if not path.is_file() or not os.access(path, os.R_OK):
        raise wrong("expected a file that exists, and that this user may read")
    return path


def needs_passphrase(key: Path) -> bool:
    """Whether a PEM file's key is encrypted (RFC 1421 and RFC 7468 both say it in capitals)."""
    return b"ENCRYPTED" in key.read_bytes()
