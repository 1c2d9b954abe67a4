import os
from pathlib import Path

import pytest

from cw_mqtt.config.load import load_settings
from cw_mqtt.config.syntax import MOST_BYTES, why_unreadable
from cw_mqtt.errors import SettingsError
from tests.config.conftest import LEAST, Refuse


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("", (1, 1), "expected settings, at least receivers: and sensors:"),
        ("# a comment", (1, 1), "expected settings, at least receivers: and sensors:"),
        ("- a", (1, 1), "expected settings, at least receivers: and sensors:"),
        ("mqtt:\n\thost: a", (2, 1), "a tab; indent with spaces"),
        ("mqtt:\r\n\thost: a", (2, 1), "a tab; indent with spaces"),
        ("\ufeffmqtt:\n\thost: a", (2, 1), "a tab; indent with spaces"),
        ("a: b: c", (1, 5), 'no ":" can stand here'),
        ("mqtt: {}\na: 'b\nc: d\n", (2, 4), "this quote is never closed"),
        ("a: [b\n", (1, 4), "this bracket is never closed"),
        ("a: 1\n---\nb: 1", (2, 1), 'expected one document; take the "---" out'),
        ("a: @b", (1, 4), "no text can start with this character"),
        ("a: *b", (1, 4), 'YAML reads a text that starts with "*" as a reference'),
        ('a: "\\q"', (1, 6), "this backslash means nothing here"),
        ("a: b\nc\nd: e", (2, 1), 'expected "name: value"; the ":" is missing'),
        ("a: 'b'c\n", (1, 7), "expected the indentation of the lines above"),
        ("%YAML 3.0\n---\na: 1", (1, 1), "not YAML from here on"),
        ("a: b\x01", (1, 5), "a control character; take it out"),
        ('a: "\\user"', (1, 7), "this backslash means nothing here"),
        ("mqtt:\n\xa0\xa0host: a", (2, 1), "a no-break space; type an ordinary one"),
        ("mqtt:\n  host:\xa0a", (2, 8), "a no-break space; type an ordinary one"),
        ("[" * 1000, (1, 1), "nested too deeply"),
        (b"a: b\nc: d\xe9", (2, 5), "not UTF-8; save the file in this encoding"),
        ("a: b".encode("utf-16"), (1, 1), "not UTF-8; save the file in this encoding"),
    ],
)
def test_what_is_not_yaml_has_its_place_and_a_clear_text(
    text: str | bytes, place: tuple[int, int], problem: str, refuse: Refuse
) -> None:
    (mistake,) = refuse(text).mistakes

    assert (mistake.line, mistake.column) == place
    assert mistake.problem.startswith(problem)


@pytest.mark.parametrize("text", [f"\ufeff{LEAST}", LEAST.replace("\n", "\r\n")])
def test_a_byte_order_mark_and_windows_line_ends_are_no_mistakes(text: str, path: Path) -> None:
    path.write_bytes(text.encode())

    settings = load_settings(path)

    assert settings.sensors[0].name == "CitizenWatt"


def test_a_file_without_the_right_to_read_it_says_so() -> None:
    assert why_unreadable(PermissionError()).startswith("may not be read")


def test_what_would_never_end_is_not_read(path: Path) -> None:
    os.mkfifo(path)

    with pytest.raises(SettingsError, match="a pipe or a device; expected a file"):
        load_settings(path)


def test_a_file_too_big_to_be_one_of_settings_is_not_read(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)

    with pytest.raises(SettingsError, match="more than 4,000,000 bytes"):
        load_settings(path)
