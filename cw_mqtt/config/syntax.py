"""A settings file as a tree of YAML nodes with their places, or what keeps it from being one."""

import re
import stat
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode

from cw_mqtt.errors import Mistake, SettingsError

# By a phrase of the library's own text, which itself may quote a secret and is never shown.
PROBLEMS = {
    r"character '\t'": "a tab; indent with spaces",
    "cannot start any token": "no text can start with this character; put the text in quotes",
    "mapping values": 'no ":" can stand here; quote a text with a colon, or indent as above',
    "quoted scalar found unexpected end": "this quote is never closed",
    "another document": 'expected one document; take the "---" out',
    "alias": 'YAML reads a text that starts with "*" as a reference; put the text in quotes',
    "expected ':'": 'expected "name: value"; the ":" is missing',
    "stream end": "this bracket is never closed",
    "<block end>": "expected the indentation of the lines above; or put the text in quotes",
    "escape": "this backslash means nothing here; put the text in single quotes",
    "hexdecimal": "this backslash means nothing here; put the text in single quotes",
}
# before a name or its value, where YAML takes it for a part of the text
WIDE_SPACE = re.compile(r"^[ -]*(?:[\w-]+:)? *([\xa0\u2007\u202f\u3000\ufeff])", re.MULTILINE)
MOST_BYTES = 4_000_000
BEGUN_EARLIER = ("end of stream", "stream end", "simple key")


def read_text(path: Path) -> str:
    """The text of a settings file; a byte order mark is nobody's mistake.

    Raises: SettingsError.
    """
    try:
        content = read_file(path)
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        raise _refusal(path, before, len(before), why_unreadable(error)) from None
    except (OSError, ValueError) as error:
        mistake = Mistake(str(path), None, None, "", why_unreadable(error))
        raise SettingsError((mistake,)) from error


def read_file(path: Path) -> bytes:
    """A whole file. Raises `OSError`, and `ValueError` for what would never end, as a pipe."""
    found = path.stat()
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise ValueError("a pipe or a device; expected a file")
    if found.st_size > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
    return path.read_bytes()


def why_unreadable(error: OSError | ValueError) -> str:
    """Why a file could not be read, and what to do about it."""
    match error:
        case FileNotFoundError():
            return "no such file; create it, or correct the path"
        case IsADirectoryError():
            return "a directory; expected a file"
        case PermissionError():
            return "may not be read; give this user the right to read it"
        case UnicodeDecodeError():
            return "not UTF-8; save the file in this encoding"
    return f"cannot be read: {getattr(error, 'strerror', None) or error}"


def lines_of(text: str) -> list[str]:
    """The lines as YAML counts them."""
    return re.split(r"\r\n|[\r\n\x85\u2028\u2029]", text)


def compose(path: Path, text: str) -> MappingNode:
    """The tree of names and values in a text.

    Raises: SettingsError.
    """
    if space := WIDE_SPACE.search(text):
        raise _refusal(path, text, space.start(1), "a no-break space; type an ordinary one")
    yaml = YAML(typ="safe", pure=True)
    yaml.composer.warn_double_anchors = False  # the warning would show the line
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        raise _refusal(path, text, *_place(error)) from None
    except RecursionError:
        raise _refusal(path, text, 0, "nested too deeply") from None
    except YAMLError as error:
        index = getattr(error, "position", 0)
        raise _refusal(path, text, index, "a control character; take it out") from None
    if not isinstance(root, MappingNode):
        raise _refusal(path, text, 0, "expected settings, at least receivers: and sensors:")
    return root


def _place(error: MarkedYAMLError) -> tuple[int, str]:
    """Where in the text the mistake is, and the mistake in our words."""
    said = f"{error.context} {error.problem}"
    problem = next((words for phrase, words in PROBLEMS.items() if phrase in said), None)
    # what is never closed is found at the end of the file; where it was opened says more
    earlier = error.context_mark and any(phrase in said for phrase in BEGUN_EARLIER)
    mark = error.context_mark if earlier else error.problem_mark
    return mark.index, problem or "not YAML from here on; put special characters in quotes"


def _refusal(path: Path, text: str, index: int, problem: str) -> SettingsError:
    """Tells where and why. Of the line only the name is shown: the rest may be a password."""
    before = lines_of(text[:index])
    line, column = len(before), len(before[-1]) + 1
    name = re.match(r"[\s-]*\w+:", lines_of(text)[line - 1])
    shown = f"{name[0]} …" if name else ""
    return SettingsError((Mistake(str(path), line, column, "", problem, shown),))
