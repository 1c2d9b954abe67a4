"""Endpoints of the API as a table says them: paths with typed parameters, checked here."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cached_property
from math import inf, isfinite

from cw_mqtt.errors import BridgeError
from cw_mqtt.records import Author
from cw_mqtt.web.schemas import Schema

Value = int | float | Decimal | str | None

# Numbers may have any length: what is beyond this means the same as this.
FARTHEST = 10**18
FARTHEST_S = 10**12
MOST_W = 1e9
MOST_KWH = 1e12
SHORTEST_STEP_S = 1e-6
FARTHEST_TIME = Decimal(FARTHEST_S)

INTEGER = r"-?[0-9]+"
DECIMAL = r"-?[0-9.]+"


class RefusedError(BridgeError):
    """A request that cannot be answered as it is; `status` is that of HTTP."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of a path: what it looks like, how it is read, and from where to where it goes.

    `schema` is the JSON Schema of its value.
    """

    about: str
    pattern: str
    read: Callable[[str], Value]
    schema: Schema
    example: Value
    least: float = -inf
    most: float = inf

    def parse(self, name: str, text: str) -> Value:
        """Its value. Raises `RefusedError` naming the parameter when it cannot be used."""
        try:
            value = self.read(text)
        except ValueError:
            raise RefusedError(400, f"{name}: expected a number") from None
        if isinstance(value, int | float | Decimal) and not self.least <= value <= self.most:
            raise RefusedError(400, f"{name}: expected {self.limits}")
        return value

    @property
    def limits(self) -> str:
        """The range in words."""
        if self.most == inf:
            return f"a number from {self.least:g}"
        return f"a number from {self.least:g} to {self.most:g}"


def read_integer(text: str) -> int:
    """An integer of any length; Python's own reading stops at 4300 digits."""
    digits = text.lstrip("-").lstrip("0")[: len(str(FARTHEST))]
    size = min(int(digits or "0"), FARTHEST)
    return -size if text.startswith("-") else size


def read_time(text: str) -> Decimal:
    """A time, exactly: a fraction of a second that a float has no room for counts too."""
    try:
        return min(Decimal(text), FARTHEST_TIME)
    except InvalidOperation as error:
        raise ValueError from error


def read_duration(text: str) -> float:
    """A duration in seconds."""
    return min(float(text), FARTHEST_S)


def read_provider(text: str) -> int | None:
    """The number of a provider, None for the current one."""
    return None if text == "current" else read_integer(text)


def choice(about: str, *words: str) -> Parameter:
    """A parameter that is one of some words."""
    return Parameter(about, "|".join(words), str, {"type": "string", "enum": [*words]}, words[0])


def integer(about: str, example: int, least: float = -inf) -> Parameter:
    """A parameter that is an integer."""
    schema = limited("integer", least, inf)
    return Parameter(about, INTEGER, read_integer, schema, example, least)


def time(about: str, example: float) -> Parameter:
    """A parameter that is a time, in seconds."""
    return Parameter(about, DECIMAL, read_time, limited("number", 0, inf), example, 0)


def quantity(about: str, example: float, most: float) -> Parameter:
    """A parameter that is a decimal number, above or below 0."""
    return Parameter(about, DECIMAL, float, limited("number", -most, most), example, -most, most)


def limited(kind: str, least: float, most: float) -> Schema:
    """The JSON Schema of a number with these limits."""
    limits = {"minimum": least, "maximum": most}
    return {"type": kind} | {name: value for name, value in limits.items() if isfinite(value)}


PARAMETERS: Mapping[str, Parameter] = {
    "sensor": integer("number of a sensor", 1),
    "id1": integer("id of a measure; below 0 counts from the end, -1 is the newest", -5),
    "id2": integer("id after the last one; with id1 below 0, 0 is the end", 0),
    "step": integer("how many ids a group has", 2, least=1),
    "time1": time("seconds since 1970 UTC", 1_795_215_600),
    "time2": time("the second after the last one", 1_795_219_200),
    "step_s": Parameter(
        "how many seconds a group has",
        DECIMAL,
        read_duration,
        limited("number", SHORTEST_STEP_S, inf),
        8,
        SHORTEST_STEP_S,
    ),
    "unit": choice("what to tell", "watts", "kwatthours", "euros"),
    "value": quantity("power in W", 512.5, MOST_W),
    "timestamp": integer("seconds since 1970 UTC", 1_795_215_600, least=0),
    "night_rate": integer("0 by day, anything else by night", 0),
    "provider": Parameter(
        "number of a provider, or current",
        f"current|{INTEGER}",
        read_provider,
        {"anyOf": [{"type": "string", "enum": ["current"]}, {"type": "integer"}]},
        "current",
    ),
    "tariff": choice("which price", "night", "day"),
    "consumption": quantity("kWh", 10, MOST_KWH),
}
NAME = re.compile(r"<(\w+)>")


class Kind(Enum):
    """What a call is about."""

    SETTING = "setting"  # what there is, and what it costs
    READING = "reading"  # measures; the answer tells whether it is day or night
    CHANGE = "change"  # of measures; the same, and needs more than a cookie


@dataclass(frozen=True)
class Endpoint:
    """One path, such as `/api/<sensor>/delete/by_id/<id1>`, and what answers there.

    `answer` takes the path's parameters by their names; its docstring tells the users. `shape` is
    the JSON Schema of what it gives.
    """

    path: str
    answer: Callable[..., object]
    shape: Schema
    kind: Kind

    @property
    def about(self) -> str:
        """What it does, in one sentence."""
        return (self.answer.__doc__ or "").partition("\n")[0]

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What its paths look like; nothing in them is special but the parameters."""
        return re.compile(NAME.sub(lambda n: f"(?P<{n[1]}>{PARAMETERS[n[1]].pattern})", self.path))


@dataclass(frozen=True, slots=True)
class Call:
    """An endpoint with the texts in place of its parameters."""

    endpoint: Endpoint
    texts: Mapping[str, str]

    def answer(self, by: Author) -> object:
        """What the endpoint answers, a change with its author.

        Raises `RefusedError` when a parameter cannot be used.
        """
        values = {name: PARAMETERS[name].parse(name, text) for name, text in self.texts.items()}
        if self.endpoint.kind is Kind.CHANGE:
            return self.endpoint.answer(**values, by=by)
        return self.endpoint.answer(**values)


def find_call(endpoints: Iterable[Endpoint], path: str) -> Call | None:
    """Which endpoint a path means, None for none."""
    for endpoint in endpoints:
        if found := endpoint.pattern.fullmatch(path):
            return Call(endpoint, found.groupdict())
    return None
