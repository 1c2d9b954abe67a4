"""The config.yaml for an adopted base, from what its tables and its old settings say.

Values in, text out. What the base does not say, or says wrongly, stands in the file as a comment
with what to do about it.
"""

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from unicodedata import normalize

from jinja2 import Environment
from ruamel.yaml import YAML

from cw_mqtt.commands.adopt.old_database import OldSettings
from cw_mqtt.config.values import DAY_S, KEY_BYTES
from cw_mqtt.store.old_base import OldBase, OldProvider, OldSensor, OldUser
from cw_mqtt.store.sensors import composed

SLUG_LENGTH = 32
TAKEN_SLUG = "bridge"  # its topics are the bridge's own
TEMPLATE = Path(__file__).with_name("config.yaml.jinja")


@dataclass(frozen=True, slots=True)
class AdoptedSensor:
    """A sensor as config.yaml has it; `key_hex` None when `problem` says why."""

    id: int
    slug: str
    name: str
    key_hex: str | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class NewDatabase:
    """The database that the bridge will use; `url` None is SQLite in `data_dir`."""

    url: str | None = None
    password_file: str | None = None
    data_dir: str = "data"


def adopt_sensors(found: Iterable[OldSensor]) -> list[AdoptedSensor]:
    """The sensors with slugs and names that no two share, and the keys that can be read."""
    sensors = list(found)
    slugs = {sensor.slug for sensor in sensors if sensor.slug} | {TAKEN_SLUG}
    names: set[str] = set()
    adopted = []
    for sensor in sensors:
        name = _unique(composed(sensor.name or f"Sensor {sensor.id}"), " ({})", names)
        slug = sensor.slug or _unique(_slug_of(name) or f"sensor-{sensor.id}", "-{}", slugs)
        key_hex, problem = read_key(sensor.aes_key)
        adopted.append(AdoptedSensor(sensor.id, slug, name, key_hex, problem))
        names.add(name)
        slugs.add(slug)
    return adopted


def _slug_of(name: str) -> str:
    """A name in the characters of a slug, such as `chauffe-eau-ete`; may be empty."""
    plain = normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[: SLUG_LENGTH - 4].strip("-")


def _unique(wanted: str, suffix: str, taken: set[str]) -> str:
    """The wanted text, with the first number that makes it differ from all that are taken."""
    number, text = 1, wanted
    while text in taken:
        number += 1
        text = wanted + suffix.format(number)
    return text


def read_key(aes_key: str | None) -> tuple[str | None, str]:
    """The key as hex digits, or None and why it cannot be read; the reason shows nothing of it."""
    if not aes_key:
        return None, "the old base has no key for it"
    try:
        key = bytes([*json.loads(aes_key)])
    except (ValueError, TypeError):
        return None, "its key in the old base is not a list of numbers from 0 to 255"
    if len(key) != KEY_BYTES:
        return None, f"its key in the old base has {len(key)} numbers, and not {KEY_BYTES}"
    return key.hex(), ""


def night_hours(users: Sequence[OldUser]) -> str | None:
    """Such as `22:00-06:00`: of the first administrator who has hours, else of the first user."""
    for user in sorted(users, key=lambda user: not user.is_admin):
        hours = (user.start_night_rate, user.end_night_rate)
        times = [_clock(s) for s in hours if s is not None and 0 <= s <= DAY_S]
        if len(set(times)) == len(hours):
            return "-".join(times)
    return None


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}"


def config_text(
    base: OldBase, sensors: Sequence[AdoptedSensor], database: NewDatabase, old: OldSettings
) -> str:
    """The whole file."""
    jinja = Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)  # noqa: S701 - no page
    jinja.filters |= {"yaml": scalar, "composed": lambda name: composed(name or "")}
    jinja.tests["usable"] = _is_usable
    template = jinja.from_string(TEMPLATE.read_text("utf-8"))
    return template.render(
        base=base,
        sensors=sensors,
        database=database,
        old=old,
        night_hours=night_hours(base.users),
    )


def scalar(text: str) -> str:
    """A text as YAML, in quotes and in one line, whatever is in it."""
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_style = '"'
    yaml.width = 2**31
    stream = StringIO()
    yaml.dump(text, stream)
    return stream.getvalue().removesuffix("\n").removesuffix("\n...")


def _is_usable(provider: OldProvider) -> bool:
    """Whether a contract can stand in the settings."""
    numbers = (
        provider.day_slope_watt_euros,
        provider.day_constant_watt_euros,
        provider.night_slope_watt_euros,
        provider.night_constant_watt_euros,
        provider.threshold,
    )
    return bool(provider.name) and all(0 <= (number or 0) < math.inf for number in numbers)
