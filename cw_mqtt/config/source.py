"""A settings file as plain texts, lists and dictionaries, each with its place in the file.

Scalars stay the text that people wrote (a password `0123` keeps its zero); the settings' types
decide what it means. What may be a secret is never shown: a shown line ends before it.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from cw_mqtt.config.syntax import compose, lines_of, read_file, read_text, why_unreadable
from cw_mqtt.config.values import beside
from cw_mqtt.errors import Mistake

Loc = tuple[str | int, ...]
Plain = str | list["Plain"] | dict[str, "Plain"] | None

SECRETS = {"key", "previous_keys", "password", "key_password", "url"}
LOOKS_SECRET = re.compile(r"@|key|pass|secret", re.IGNORECASE)
NAME = re.compile(r"\w[\w-]{0,31}")
NOT_SHOWN = "(value not shown)"
NUMERIC_KEY = f"put 32 hex digits in quotes: YAML reads this as a number {NOT_SHOWN}"
CUT_PASSWORD = f"put the password in quotes: YAML drops what follows the # {NOT_SHOWN}"
UNKNOWN_TAG = f"expected !env NAME, !file PATH, or quotes around a text with ! {NOT_SHOWN}"
ESCAPE = (
    "in double quotes YAML changes what follows a backslash; "
    r"use single quotes, or write \\ for each backslash"
)
CONTROL = "a line end, a tab or another control character in it; take it out"
SPACE_AT_END = "has a space at its beginning or end; take it out, or write the text here, in quotes"
# what JSON writes is meant: \" \\ \u and the rare \x and \U
CHANGING_ESCAPE = re.compile(r"\\[^\"uUx\n]")
NOT_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
ANCHOR = f"YAML reads a text that starts with & as a reference; put the text in quotes {NOT_SHOWN}"


def setting_path(loc: Loc) -> str:
    """The path people read, such as `sensors[0].key`; what cannot be a name may be a secret."""
    parts = (f"[{p}]" if isinstance(p, int) else f".{p if NAME.fullmatch(p) else '?'}" for p in loc)
    return "".join(parts).lstrip(".")


class Source:
    """One settings file: its `values` by name, and mistakes at their places.

    Raises: SettingsError, when the file cannot be read or is not YAML.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text = text = read_text(path)
        self._lines = lines_of(text)
        root = compose(path, text)
        self._nodes: dict[Loc, Node] = {(): root}
        self._names: dict[Loc, Node] = {}
        self._hidden: list[Node] = []
        self._problems: list[tuple[Loc, Node, str]] = []
        self.files = [path.absolute()]  # that were read, or should have been
        values = self._mapping(root, ())
        # a section whose every line is commented out is as good as none
        self.values: dict[str, Plain] = {
            name: value for name, value in values.items() if value is not None
        }

    def add(self, loc: Loc, problem: str) -> None:
        """A mistake at the value of `loc`, or where it is missing; the first one counts."""
        if all(loc != known for known, _, _ in self._problems):
            self._problems.append((loc, self._place(loc), problem))

    def add_unknown(self, loc: Loc, problem: str) -> None:
        """A mistake at a name; its value may be a secret under a misspelt name."""
        self._hidden.extend(_scalars(self._nodes[loc]))
        self._problems.append((loc, self._names[loc], problem))

    def got(self, loc: Loc) -> str:
        """What was found instead, for the end of a problem's text."""
        node = self._nodes.get(loc)
        if isinstance(node, SequenceNode | MappingNode):
            return ", got a list" if isinstance(node, SequenceNode) else ", got settings"
        if node is None or not node.value:
            return ", got nothing"
        hidden = node in self._hidden or str(node.tag).startswith("!")
        return f" {NOT_SHOWN}" if hidden else f', got "{node.value:.40}"'

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """Every mistake, in the order of the file."""
        order = sorted(self._problems, key=lambda problem: problem[1].start_mark.index)
        return tuple(self._mistake(*problem) for problem in order)

    def _value(self, node: Node, loc: Loc) -> Plain:
        self._nodes[loc] = node
        if node.anchor:
            self._hidden.append(node)
            self._problems.append((loc, node, ANCHOR))
            return None
        if isinstance(node, ScalarNode):
            return self._scalar(node, loc, str(node.tag))
        if isinstance(node, MappingNode):
            return self._mapping(node, loc)
        return [self._value(item, (*loc, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: MappingNode, loc: Loc) -> dict[str, Plain]:
        values: dict[str, Plain] = {}
        for name_node, value_node in node.value:
            name = str(name_node.value)
            first = self._names.setdefault((*loc, name), name_node)
            if not NAME.fullmatch(name):
                self._hidden.append(name_node)
            if _is_nothing(value_node):
                # nothing is written: YAML places that at the next text, far from its name
                value_node.start_mark = value_node.end_mark = name_node.end_mark
            if first is name_node:
                values[name] = self._value(value_node, (*loc, name))
                continue
            self._hidden.extend(_scalars(value_node))
            problem = f"written twice; the first is in line {first.start_mark.line + 1}"
            self._problems.append(((*loc, name), name_node, problem))
        return values

    def _scalar(self, node: ScalarNode, loc: Loc, tag: str) -> str | None:
        node.value = _joined(node.value)
        if _may_be_secret(node, loc):
            self._hidden.append(node)
        problem = self._misread(node, loc, tag)
        if problem:
            self.add(loc, problem)
        elif tag in ("!env", "!file"):
            return self._fetched(node, loc, tag)
        return None if tag.endswith(":null") else str(node.value)

    def _misread(self, node: ScalarNode, loc: Loc, tag: str) -> str | None:
        """Why YAML does not read what was meant; None when it does."""
        written = self._text[node.start_mark.index : node.end_mark.index]
        if node.style == '"' and CHANGING_ESCAPE.search(written.replace(r"\\", "")):
            return ESCAPE
        if NOT_TEXT.search(node.value):
            return CONTROL
        if tag.startswith("!"):
            return None if tag in ("!env", "!file") else UNKNOWN_TAG
        after = self._lines[node.end_mark.line][node.end_mark.column :].lstrip()
        # after an empty password, "# text" is a comment and "#text" the password that was meant
        dropped = re.match("#" if node.value else r":\s*#\S", after)
        if loc[-1] == "password" and node.style is None and dropped:
            return CUT_PASSWORD
        is_key = loc[0] == "sensors" and ("key" in loc or "previous_keys" in loc)
        return NUMERIC_KEY if is_key and tag.endswith((":int", ":float")) else None

    def _fetched(self, node: ScalarNode, loc: Loc, tag: str) -> str:
        """The value from the environment or a file, which stands instead of the text."""
        source = f"the environment variable {node.value}"
        try:
            if tag == "!env":
                text = os.environ[node.value]
            else:
                path = beside(self._path.parent, node.value)
                self.files.append(path)
                source = f"{path}:"
                text = read_file(path).decode("utf-8-sig").rstrip("\r\n")
            problem = _unusable(text)
            if not problem:
                return text
        except KeyError:
            problem = "is not set; set it for this program"
        except (OSError, ValueError) as error:
            problem = why_unreadable(error)
        self._problems.append((loc, node, f"{source} {problem}"))
        return ""

    def _place(self, loc: Loc) -> Node:
        """The value, else its name, else what it should have been in."""
        node = self._nodes.get(loc)
        if isinstance(node, ScalarNode) and not _is_nothing(node):
            return node
        return self._names.get(loc) or node or self._place(loc[:-1])

    def _mistake(self, loc: Loc, node: Node, problem: str) -> Mistake:
        start, end = node.start_mark, node.end_mark
        line = self._lines[start.line]
        cut = min(self._hidden_columns(start.line), default=None)
        shown = line if cut is None else line[:cut] + "…"
        one_line = start.line == end.line and (cut is None or start.column < cut)
        width = end.column - start.column if one_line else 1
        path = setting_path(loc)
        return Mistake(
            str(self._path), start.line + 1, start.column + 1, path, problem, shown, width
        )

    def _hidden_columns(self, line: int) -> Iterator[int]:
        """Where in this line something hidden begins."""
        for node in self._hidden:
            start, end = node.start_mark, node.end_mark
            if start.line == line:
                yield start.column
            elif start.line < line and (line, 0) < (end.line, end.column):
                yield 0


def _joined(text: str) -> str:
    """JSON writes a character such as 🏠 as two halves (RFC 8259, 7), which YAML leaves apart."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _unusable(text: str) -> str | None:
    """Why a text that stands elsewhere cannot be a value."""
    if not text:
        return "is empty; expected a text"
    if NOT_TEXT.search(text):
        return f"has {CONTROL}"
    return SPACE_AT_END if text != text.strip() else None


def _is_nothing(node: Node) -> bool:
    return bool(node.start_mark.index == node.end_mark.index)


def _may_be_secret(node: ScalarNode, loc: Loc) -> bool:
    """By its name or its look: without its space, `password:x` becomes part of another text."""
    several_lines = node.end_mark.line > node.start_mark.line
    return bool(SECRETS.intersection(loc) or LOOKS_SECRET.search(node.value) or several_lines)


def _scalars(node: Node) -> Iterator[Node]:
    """All that is written in a node; whole when it may hold itself, which takes an anchor."""
    if isinstance(node, ScalarNode) or node.anchor:
        yield node
        return
    for item in node.value:
        for part in item if isinstance(item, tuple) else (item,):
            yield from _scalars(part)
