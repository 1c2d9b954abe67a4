"""The pure modules stay pure, and the stages stay apart.

Pure is values in, values out: no port, file, clock, thread, log or environment. So they may
import what is listed here, and nothing else.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STAGES = ("acquire", "decode", "measure", "publish", "store", "web")
PURE = (
    "cw_mqtt/decode/**/*.py",
    "cw_mqtt/measure/**/*.py",
    "cw_mqtt/model.py",
    "cw_mqtt/errors.py",
    "cw_mqtt/config/keys.py",
    "cw_mqtt/simulate/*.py",
    "cw_mqtt/publish/homeassistant.py",
    "cw_mqtt/publish/homeassistant.py",
    "cw_mqtt/publish/requests.py",
    "cw_mqtt/publish/send_queue.py",
    "cw_mqtt/publish/topics.py",
    "cw_mqtt/publish/totals.py",
    "cw_mqtt/publish/homeassistant.py",
)
ALLOWED = (
    "Crypto.Cipher.AES",
    "binascii",
    "bisect",
    "collections",
    "cw_mqtt.__version__",
    "cw_mqtt.config.contract",
    "cw_mqtt.config.section",
    "cw_mqtt.config.settings",
    "cw_mqtt.config.values",
    "cw_mqtt.decode",
    "cw_mqtt.errors",
    "cw_mqtt.config.keys",
    "cw_mqtt.measure",
    "cw_mqtt.model",
    "cw_mqtt.publish.homeassistant",
    "cw_mqtt.publish.homeassistant",
    "cw_mqtt.publish.topics",
    "cw_mqtt.simulate",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "hashlib",
    "itertools",
    "json",
    "math",
    "random.Random",  # seeded by its caller; the functions beside it are not
    "re",
    "statistics",
    "struct",
    "typing",
    "unicodedata",
    "zoneinfo.ZoneInfo",
)
# What all stages may ask, for there is one answer: calendar, tariffs and costs.
SHARED = (
    "cw_mqtt.measure.named_periods",
    "cw_mqtt.measure.periods",
    "cw_mqtt.measure.tariff",
)
# Reached without an import, or through one that is allowed.
FORBIDDEN = {"open", "print", "input", "eval", "exec", "__import__", "now", "utcnow", "today"}


def imported_names(source: str) -> Iterator[str]:
    """The full name of everything that a module imports; relative ones begin with a dot."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def called_names(source: str) -> Iterator[str]:
    """The last part of the name of each function that a module calls."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func).rpartition(".")[2]


def within(name: str, modules: tuple[str, ...]) -> bool:
    """Whether a name is one of the modules, or in one of them."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def impurities(source: str) -> set[str]:
    """What a pure module must not import or call, and does."""
    imported = {name for name in imported_names(source) if not within(name, ALLOWED)}
    return imported | (FORBIDDEN & set(called_names(source)))


def neighbours(source: str, stage: str) -> set[str]:
    """What the modules of a stage must not import from other stages, and do."""
    others = tuple(f"cw_mqtt.{other}" for other in STAGES if other != stage)
    imported = {name for name in imported_names(source) if not within(name, SHARED)}
    return {name for name in imported if within(name, others) or name[0] == "."}


@pytest.mark.parametrize("pattern", PURE)
def test_pure_modules_import_no_input_output_clock_thread_or_log(pattern: str) -> None:
    sources = {path: path.read_text("utf-8") for path in ROOT.glob(pattern)}

    found = {str(path): impurities(source) for path, source in sources.items()}

    assert found
    assert not {path: names for path, names in found.items() if names}


@pytest.mark.parametrize("stage", STAGES)
def test_stages_do_not_import_each_other(stage: str) -> None:
    paths = (ROOT / "cw_mqtt" / stage).rglob("*.py")
    sources = {path: path.read_text("utf-8") for path in paths}

    found = {str(path): neighbours(source, stage) for path, source in sources.items()}

    assert found
    assert not {path: names for path, names in found.items() if names}


@pytest.mark.parametrize(
    ("source", "impurity"),
    [
        ("import os", "os"),
        ("import time as t", "time"),
        ("import os.path", "os.path"),
        ("from threading import Lock", "threading.Lock"),
        ("def late():\n    import logging", "logging"),
        ("from cw_mqtt import journal", "cw_mqtt.journal"),
        ("from cw_mqtt.journal.journal import Journal", "cw_mqtt.journal.journal.Journal"),
        ("from random import random", "random.random"),
        ("from . import journal", "..journal"),
        ("import mathematics", "mathematics"),
        ("open('state')", "open"),
        ("datetime.datetime.now(UTC)", "now"),
    ],
)
def test_an_impurity_is_found(source: str, impurity: str) -> None:
    assert impurities(source) == {impurity}


@pytest.mark.parametrize(
    "source",
    [
        "import math",
        "from collections.abc import Mapping",
        "from cw_mqtt.model import Frame",
        "frame.opened()",
    ],
)
def test_what_is_allowed_is_no_impurity(source: str) -> None:
    assert impurities(source) == set()


@pytest.mark.parametrize(
    "source",
    ["from cw_mqtt.store.tables import x", "import cw_mqtt.store", "from cw_mqtt import store"],
)
def test_an_import_from_another_stage_is_found(source: str) -> None:
    assert neighbours(source, "web")
    assert not neighbours(source, "store")
