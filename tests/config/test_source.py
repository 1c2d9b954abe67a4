from pathlib import Path

import pytest

from cw_mqtt.config.load import format_mistakes, load_settings
from tests.config.conftest import LEAST, Load, Refuse

KEY_LINE = '    key: "000102030405060708090a0b0c0d0e0f"'


def password(load: Load, written: str) -> str:
    mqtt = load(f"mqtt:\n  password: {written}\n").mqtt
    assert mqtt
    assert mqtt.password
    return mqtt.password.get_secret_value()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("0123", "0123"),
        ("1e9", "1e9"),
        ("true", "true"),
        ("a#b@c:d", "a#b@c:d"),
        ("with spaces", "with spaces"),
        ("'# @ : & * ! %'", "# @ : & * ! %"),
        (r"'a\b\n'", r"a\b\n"),
        (r"a\b", r"a\b"),
        (r'"a\\b\"\\n"', r'a\b"\n'),
    ],
)
def test_a_password_is_the_text_that_was_written(written: str, read: str, load: Load) -> None:
    assert password(load, written) == read


def test_a_comment_after_an_empty_password_is_no_mistake(load: Load) -> None:
    mqtt = load("mqtt:\n  password:  # none\n  username: cw\n").mqtt

    assert mqtt
    assert mqtt.password is None


def test_an_empty_password_hides_nothing_of_the_next_line(refuse: Refuse) -> None:
    (mistake,) = refuse(f"{LEAST}mqtt:\n  password:\n  port: soon\n").mistakes

    assert mistake.source_line == "  port: soon"


def test_a_value_comes_from_the_environment(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CW_MQTT_PASSWORD", "from outside")

    assert password(load, "!env CW_MQTT_PASSWORD  # a comment") == "from outside"


def test_a_value_comes_from_a_file_beside_the_settings(load: Load, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\ufefffirst last\r\n")

    assert password(load, "!file secret") == "first last"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is empty; expected a text"),
        ("\n", "is empty; expected a text"),
        ("canary ", "has a space at its beginning or end"),
        ("first\ncanary\n", "has a line end, a tab or another control character in it"),
        ("a\tcanary", "has a line end, a tab or another control character in it"),
    ],
)
def test_a_secret_of_odd_bytes_says_so_and_shows_nothing(
    content: str, problem: str, refuse: Refuse, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(content)

    error = refuse(f"{LEAST}mqtt:\n  password: !file secret\n")

    assert f"secret: {problem}" in error.mistakes[0].problem
    assert "canary" not in format_mistakes(error)


def test_an_empty_environment_variable_is_no_password(
    refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CW_EMPTY", "")

    (mistake,) = refuse(f"{LEAST}mqtt:\n  password: !env CW_EMPTY\n").mistakes

    assert mistake.problem == "the environment variable CW_EMPTY is empty; expected a text"


@pytest.mark.parametrize("written", [r"a\b", r"a\ b", r"a\/b", r"a\_b", r"a\nb", r"\\a\b"])
def test_a_backslash_that_yaml_would_take_away_is_refused(written: str, refuse: Refuse) -> None:
    (mistake,) = refuse(f'{LEAST}mqtt:\n  password: "{written}"\n').mistakes

    assert (mistake.line, mistake.column, mistake.setting) == (8, 13, "mqtt.password")
    assert mistake.problem == (
        "in double quotes YAML changes what follows a backslash; "
        r"use single quotes, or write \\ for each backslash"
    )


@pytest.mark.parametrize(
    "name", ['"a\tb"', "'a\tb'", "|\n      a", r'"\u0000"', r'"\x7f"', r'"\ud83c"']
)
def test_no_text_holds_a_control_character(name: str, refuse: Refuse) -> None:
    (mistake,) = refuse(LEAST.replace("CitizenWatt", name)).mistakes

    assert (mistake.line, mistake.setting) == (4, "sensors[0].name")
    assert mistake.problem == "a line end, a tab or another control character in it; take it out"


@pytest.mark.parametrize("name", ["Maison 🏠", r'"Maison \ud83c\udfe0"', r'"Maison \U0001f3e0"'])
def test_a_character_beyond_the_first_plane_is_one_however_it_is_written(
    name: str, path: Path
) -> None:
    path.write_text(LEAST.replace("CitizenWatt", name))

    assert load_settings(path).sensors[0].name == "Maison 🏠"


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("00010203040506070809101112131415", "reads this as a number"),
        ("0001020304050607080910111213e415", "reads this as a number"),
        ("0x0102", "reads this as a number"),
        ("canary", "expected 32 hex digits in quotes"),
        ("", "expected 32 hex digits in quotes"),
    ],
)
def test_a_key_that_yaml_reads_as_a_number_belongs_in_quotes(
    key: str, problem: str, refuse: Refuse
) -> None:
    (mistake,) = refuse(LEAST.replace(KEY_LINE, f"    key: {key}")).mistakes

    assert (mistake.line, mistake.setting) == (5, "sensors[0].key")
    assert problem in mistake.problem
    assert mistake.source_line in ("    key: …", "    key…")


@pytest.mark.parametrize(
    ("written", "place", "problem"),
    [
        ("a #canary", (8, 13), "put the password in quotes: YAML drops what follows the #"),
        ("#canary", (8, 3), "put the password in quotes: YAML drops what follows the #"),
        ("&canary", (8, 13), "YAML reads a text that starts with & as a reference"),
        ("!canary", (8, 13), "expected !env NAME, !file PATH, or quotes"),
        ("!env CW_UNSET", (8, 13), "the environment variable CW_UNSET is not set"),
        ("!file none", (8, 13), "none: no such file; create it, or correct the path"),
        ("!file .", (8, 13), "a directory; expected a file"),
        ("[canary]", (8, 3), "expected a text, got a list"),
    ],
)
def test_a_password_that_is_misread_says_why(
    written: str, place: tuple[int, int], problem: str, refuse: Refuse
) -> None:
    (mistake,) = refuse(f"{LEAST}mqtt:\n  password: {written}\n").mistakes

    assert (mistake.line, mistake.column) == place
    assert problem in mistake.problem


@pytest.mark.parametrize(
    "added",
    [
        "mqtt: {password: canary, prot: 1}",
        "mqtt: {prot: 1, password: canary}",
        "mqtt:\n  pasword: canary",
        "mqtt:\n  pasword: |\n    canary",
        "mqtt:\n  credentials: {user: x, other: [canary]}",
        "mqtt:\n  password:canary",
        "mqtt:\n  host: broker\n    password:canary",
        "mqtt: {password canary}",
        "mqtt:\n  password: one\n  password: canary",
        "mqtt:\n  password: [canary]",
        "mqtt:\n  password: &canary",
        "mqtt:\n  password: !canary",
        "mqtt:\n  password: *canary",
        "mqtt:\n  password: @canary",
        "mqtt:\n  password: a: canary",
        'mqtt:\n  password: "canary',
        'mqtt:\n  password: "\\canary"',
        "mqtt:\n  password: 'a'canary",
        "mqtt:\n  password canary",
        "mqtt:\n  password: a\n  canary",
        "mqtt:\n  password: &a canary\n  username: &a canary",
        "mqtt: {host: 'user:canary@broker'}",
        "database: {url: 'mysql://u:canary@h/d'}",
        "database: {url: 'postgres://u:canary@h/d', password: canary}",
        "    previous_keys: [canary]",
        "    previous_keys:\n      - canary",
        "    key: canary",
    ],
)
def test_no_mistake_shows_a_secret(added: str, refuse: Refuse) -> None:
    error = refuse(f"{LEAST}{added}\n")

    assert "canary" not in format_mistakes(error)
    assert "canary" not in f"{error} {error.mistakes!r}"


def test_a_fetched_value_is_not_shown_even_where_no_secret_belongs(
    refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CW_PORT", "canary")

    (mistake,) = refuse(f"{LEAST}mqtt:\n  port: !env CW_PORT\n").mistakes

    assert mistake.problem == "expected a port from 1 to 65535 (value not shown)"
