"""Load config.yaml: all of it is right, or every mistake is told at once."""

import difflib
import os
import re
import typing
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError

from cw_mqtt.config.settings import Settings
from cw_mqtt.config.source import Loc, Plain, Source, setting_path
from cw_mqtt.errors import Mistake, SettingsError, UsageError
from cw_mqtt.private_files import is_read_by_all

DEFAULT_PATHS = (Path("config.yaml"), Path("/etc/cw-mqtt/config.yaml"))
EXAMPLE_KEY = bytes(range(16))
EXPECTED = {
    "model_type": "expected settings, one a line",
    "tuple_type": "expected a list",
    "string_type": "expected a text",
}


def find_config(given: Path | None) -> Path:
    """The settings file to use: the given one, else the first default that exists.

    Raises: UsageError.
    """
    if given is not None:
        return given
    for path in DEFAULT_PATHS:
        if os.path.exists(path):  # noqa: PTH110 - Path's raises for a folder that may not be read
            return path
    places = " nor ".join(str(path) for path in DEFAULT_PATHS)
    raise UsageError(
        f"no settings file: neither {places} exists; write one "
        "(docs/configuration.md has an example), name yours with --config, or try `cw-mqtt demo`"
    )


def load_settings(path: Path) -> Settings:
    """The settings in a file; relative paths in it are meant from its folder.

    Raises: SettingsError, with every mistake.
    """
    source = Source(path)
    settings = None
    try:
        settings = Settings.model_validate(source.values, context={"folder": path.parent})
    except ValidationError as error:
        for found in error.errors(include_url=False, include_input=False):
            _add(source, found)
    for loc, problem in _cross_problems(source.values):
        source.add(loc, problem)
    files = tuple(source.files)
    if settings is None or source.mistakes:
        raise SettingsError(source.mistakes, tuple(map(str, files)))
    settings.note_files(files)
    return settings


def format_mistakes(error: SettingsError, outcome: str = "nothing was started") -> str:
    """The mistakes as people read them: place, setting, problem, and the line with a caret."""
    count = len(error.mistakes)
    section = next((re.split(r"\W", m.setting)[0] for m in error.mistakes if m.setting), "")
    anchor = f"#{section}" if section in Settings.model_fields else ""
    noun = "mistake" if count == 1 else "mistakes"
    end = f"{count} {noun}; {outcome}. See docs/configuration.md{anchor}"
    return "\n".join([*(_format(mistake) for mistake in error.mistakes), end])


def warnings(settings: Settings) -> tuple[str, ...]:
    """Advice on settings that work and are not wise."""
    advice = [
        f"sensors[{sensor.slug}].key is the published example key:"
        " a neighbour's factory sensor decrypts too"
        for sensor in settings.sensors
        if sensor.key.get_secret_value() == EXAMPLE_KEY
    ]
    advice += [
        f"receivers[{receiver.name}].port: {receiver.port} may be another device after the next"
        " start; name it by its link in /dev/serial/by-id"
        for receiver in settings.receivers
        if re.match(r"/dev/tty(USB|ACM)\d", receiver.port)
    ]
    by_hours = any(tariff.hours or tariff.days for p in settings.providers for tariff in p.tariffs)
    if by_hours and "timezone" not in settings.model_fields_set and _is_utc(settings.timezone):
        advice.append(
            "night_hours and the hours of tariffs are meant in UTC, to which this computer is set;"
            " set timezone, such as Europe/Paris, or UTC if you mean it"
        )
    advice += [
        f"{path} can be read by every user of this computer, and has secrets; chmod 600 it"
        for path in (*settings.files, *_private_keys(settings))
        if is_read_by_all(path)
    ]
    return tuple(advice)


def _private_keys(settings: Settings) -> Iterator[Path]:
    for section in (settings.mqtt, settings.web):
        if section and section.tls and section.tls.cert:
            yield section.tls.key or section.tls.cert


def _is_utc(zone: ZoneInfo) -> bool:
    return not any(datetime(2026, month, 1, tzinfo=zone).utcoffset() for month in (1, 7))


def _format(mistake: Mistake) -> str:
    place = [mistake.file, mistake.line, mistake.column]
    head = ":".join(str(part) for part in place if part is not None)
    text = ": ".join(part for part in (head, mistake.setting, mistake.problem) if part)
    if not mistake.source_line or mistake.line is None or mistake.column is None:
        return text
    before = mistake.source_line[: mistake.column - 1].ljust(mistake.column - 1)
    indent = re.sub(r"[^\t]", " ", before)  # a tab stays one, so that the caret stands right
    margin = " " * len(str(mistake.line))
    shown = f"    {mistake.line} | {mistake.source_line}"
    return f"{text}\n{shown}\n    {margin} | {indent}{'^' * mistake.width}"


def _add(source: Source, found: Any) -> None:
    """One of pydantic's errors, in our words."""
    loc: Loc = (*found["loc"], *found.get("ctx", {}).get("at", ()))
    kind = found["type"]
    if kind == "extra_forbidden":
        source.add_unknown(loc, f"unknown setting{_suggestion(str(loc[-1]), _names_at(loc[:-1]))}")
    elif kind in ("wrong", "missing"):
        source.add(loc, "is missing" if kind == "missing" else found["msg"])
    else:
        source.add(loc, _expected(found) + source.got(loc))


def _expected(found: Any) -> str:
    if found["type"] == "literal_error":
        words = found["ctx"]["expected"].replace("'", '"')
        return f"expected {words}"
    return EXPECTED.get(found["type"], str(found["msg"]))


def _suggestion(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return f'; did you mean "{nearest[0]}"?' if nearest else ""


def _names_at(loc: Loc) -> list[str]:
    """The names of the settings that may stand in this place."""
    section: type[BaseModel] = Settings
    for name in (part for part in loc if isinstance(part, str)):
        field = next(f for n, f in section.model_fields.items() if name in (n, f.alias))
        section = next(_sections_in(field.annotation))
    return [field.alias or name for name, field in section.model_fields.items()]


def _sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """`tuple[SensorSettings, ...]` and `WebSettings | None` hold one section each."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _sections_in(inner)


def _cross_problems(values: dict[str, Plain]) -> Iterator[tuple[Loc, str]]:
    """What is wrong between settings; looked up before they are typed, to tell all at once."""
    for section, name in (("receivers", "name"), ("sensors", "slug"), ("sensors", "name")):
        yield from _repeated(values, section, (name,))
    yield from _repeated(values, "providers", ("name", "from"))
    yield from _unknown_receivers(values)


def _repeated(
    values: dict[str, Plain], section: str, names: tuple[str, ...]
) -> Iterator[tuple[Loc, str]]:
    """Entries of a section that agree in all these settings, of which the first must be there."""
    first: dict[str, Loc] = {}
    for loc, entry in _entries(values, section):
        own = (*loc, names[0])
        taken_by = first.setdefault(repr([entry.get(name) for name in names]), own)
        if taken_by != own and entry.get(names[0]):
            yield own, f"the same as {setting_path(taken_by)}; expected another"


def _unknown_receivers(values: dict[str, Plain]) -> Iterator[tuple[Loc, str]]:
    known = [str(receiver.get("name")) for _, receiver in _entries(values, "receivers")]
    for loc, sensor in _entries(values, "sensors"):
        names = sensor.get("receivers")
        for index, name in enumerate(names if isinstance(names, list) else []):
            if name not in known:
                problem = f"no receiver has this name{_suggestion(str(name), known)}"
                yield (*loc, "receivers", index), problem


def _entries(values: dict[str, Plain], section: str) -> Iterator[tuple[Loc, dict[str, Plain]]]:
    entries = values.get(section)
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        if isinstance(entry, dict):
            yield (section, index), entry
