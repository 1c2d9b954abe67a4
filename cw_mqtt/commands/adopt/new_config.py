"""The config.yaml for an adopted base, from what its tables and its old settings say.

Values in, text out. What the base does not say, or says wrongly, stands in the file as a comment
with what to do about it.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any
from unicodedata import normalize

from ruamel.yaml import YAML

from cw_mqtt.commands.adopt.old_database import OldSettings
from cw_mqtt.config.values import KEY_BYTES, SECONDS_A_DAY
from cw_mqtt.store.old_base import OldBase, OldProvider, OldSensor, OldUser
from cw_mqtt.store.sensors import composed

SLUG_LENGTH = 32
TAKEN_SLUG = "bridge"  # its topics are the bridge's own
USUAL_NIGHT = "22:00-06:00"


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
        times = [_clock(s) for s in hours if s is not None and 0 <= s <= SECONDS_A_DAY]
        if len(set(times)) == len(hours):
            return "-".join(times)
    return None


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}"


def config_text(
    base: OldBase, sensors: Sequence[AdoptedSensor], database: NewDatabase, old: OldSettings
) -> str:
    """The whole file."""
    sections = (
        _head(base.place, database),
        RECEIVERS,
        _sensors_section(sensors),
        MQTT,
        _database_section(database),
        _web_section(old),
        _providers_section(base.providers, night_hours(base.users)),
    )
    return "\n".join(sections)


def scalar(text: str) -> str:
    """A text as YAML, in quotes and in one line, whatever is in it."""
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_style = '"'
    yaml.width = 2**31
    stream = StringIO()
    yaml.dump(text, stream)
    return stream.getvalue().removesuffix("\n").removesuffix("\n...")


def _head(place: str, database: NewDatabase) -> str:
    return f"""\
# Settings of cw-mqtt, made by `cw-mqtt adopt` from the CitizenWatt base in
# {scalar(place)}.
# From now on this file is the truth: change it, and the database follows at the next start.
# `cw-mqtt check-config` looks it over; docs/configuration.md has every setting.

# timezone: Europe/Paris          # default: this computer's; night hours are meant in it
data_dir: {scalar(database.data_dir)}                  # the journal; relative to this file
"""


RECEIVERS = """\
# Where packets come in. The old base's radio program writes into this FIFO, as it did; with a
# receiver board on USB, take that line away and use the one below it.
receivers:
  - name: base
    port: fifo:/tmp/sensor
    # port: /dev/serial/by-id/usb-1a86_USB_Serial-if00-port0
"""

MQTT = """\
# Your MQTT broker, where Home Assistant finds the sensors. Without it nothing is published.
# mqtt:
#   host: localhost
#   username: cw
#   password: !env CW_MQTT_PASSWORD           # or !file PATH
"""


def _sensors_section(sensors: Sequence[AdoptedSensor]) -> str:
    """Each sensor, those without a key as comments."""
    lines = ["# The old base's sensors. Each goes on under its number, with its measures."]
    lines.append("sensors:")
    for sensor in sensors:
        lines.extend(_sensor_lines(sensor))
    return "\n".join(lines) + "\n"


def _sensor_lines(sensor: AdoptedSensor) -> Iterator[str]:
    entry = (
        f"  - slug: {scalar(sensor.slug):22}# number {sensor.id}; in topics, never change it",
        f"    name: {scalar(sensor.name)}",
    )
    if sensor.key_hex:
        yield from (*entry, f'    key: "{sensor.key_hex}"')
        return
    yield f"  # The next sensor waits: {sensor.problem}."
    yield "  # Its measures are kept and shown. For new ones, write the 32 hex digits of the key in"
    yield "  # its sketch (`cw-mqtt key generate` makes a new one), and take the # away:"
    yield from (f"  #{line.removeprefix('  ')}" for line in (*entry, '    key: ""'))


def _database_section(database: NewDatabase) -> str:
    if database.url is None:
        return "# Measures are in the SQLite file citizenwatt.sqlite in data_dir.\n"
    lines = [
        "# The old base's database, or its copy.",
        "database:",
        f"  url: {scalar(database.url)}",
    ]
    if database.password_file:
        lines.append(f"  password: !file {scalar(database.password_file)}")
    return "\n".join(lines) + "\n"


def _web_section(old: OldSettings) -> str:
    """The page and the API as the old base had them; everybody's login stays."""
    return f"""\
# The page and the API, where they were. The old logins and passwords go on.
web:
  port: {old.port}
  max_returned_values: {old.max_returned_values}
"""


def _providers_section(providers: Sequence[OldProvider], night: str | None) -> str:
    """Each contract, those that cannot be one as comments."""
    if not providers:
        return "# The old base knew no electricity contract; docs/configuration.md#providers.\n"
    current = next((provider for provider in providers if provider.current), None)
    lines = ["# The old base's electricity contracts: prices in euros, hours in local time."]
    lines.append("providers:" if any(map(_is_usable, providers)) else "# providers:")
    for provider in providers:
        lines.extend(_provider_lines(provider, night, current=provider is current))
    return "\n".join(lines) + "\n"


def _provider_lines(provider: OldProvider, night: str | None, *, current: bool) -> Iterator[str]:
    name = scalar(composed(provider.name or ""))
    if not _is_usable(provider):
        yield f"  # Contract number {provider.id}, {name}, has no name or impossible prices: it"
        yield "  # stays in the database. To go on with it, write it here as the others are."
        return
    day = (provider.day_slope_watt_euros or 0, provider.day_constant_watt_euros or 0)
    at_night = (provider.night_slope_watt_euros or 0, provider.night_constant_watt_euros or 0)
    yield f"  - name: {name}"
    if current:
        yield "    current: true"
    unknown = "" if provider.day_slope_watt_euros is not None else "    # the old base had no price"
    yield f"    day: {_prices(*day)}{unknown}"
    if provider.night_slope_watt_euros is not None and at_night != day:
        yield f"    night: {_prices(*at_night)}"
        unsure = "" if night else "    # the old base had none: see your contract"
        yield f'    night_hours: ["{night or USUAL_NIGHT}"]{unsure}'
    if provider.threshold:
        yield f"    threshold_w: {provider.threshold}"


def _prices(eur_per_kwh: float, eur_per_month: float) -> str:
    return f"{{eur_per_kwh: {eur_per_kwh:.12g}, eur_per_month: {eur_per_month:.12g}}}"


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
