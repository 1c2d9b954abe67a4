from pathlib import Path

import pytest

from cw_mqtt.config.load import find_config, format_mistakes, load_settings, warnings
from cw_mqtt.config.settings import ReceiverSettings
from cw_mqtt.errors import SettingsError, UsageError
from tests.config.conftest import LEAST, Load, Refuse

PRICE = "day: {eur_per_kwh: 0.2}"

MISTAKES = [
    ("mqtt: {prot: 1}", (7, 8), "mqtt.prot", 'unknown setting; did you mean "port"?'),
    ("mqtts: {}", (7, 1), "mqtts", 'unknown setting; did you mean "mqtt"?'),
    ("    slug: other", (7, 5), "sensors[0].slug", "written twice; the first is in line 3"),
    ("    start_kwh: -1", (7, 16), "sensors[0].start_kwh", 'expected a number from 0, got "-1"'),
    (
        "    start_kwh: .nan",
        (7, 16),
        "sensors[0].start_kwh",
        'expected a number from 0, got ".nan"',
    ),
    ("    start_kwh:", (7, 5), "sensors[0].start_kwh", "expected a number from 0, got nothing"),
    ("    publish: 3", (7, 14), "sensors[0].publish", 'expected settings, one a line, got "3"'),
    ("    receivers: hall", (7, 16), "sensors[0].receivers", 'expected a list, got "hall"'),
    (
        "    receivers: [hal]",
        (7, 17),
        "sensors[0].receivers[0]",
        'no receiver has this name; did you mean "hall"?',
    ),
    (
        "    availability_timeout_s: 0",
        (7, 29),
        "sensors[0].availability_timeout_s",
        'expected auto or a number of seconds above 0, got "0"',
    ),
    ("  - slug: b", (7, 5), "sensors[1].name", "is missing"),
    ("mqtt: {port: 65536}", (7, 14), "mqtt.port", 'expected a port from 1 to 65535, got "65536"'),
    (
        "mqtt: {protocol: 4}",
        (7, 18),
        "mqtt.protocol",
        'expected "auto", "5" or "3.1.1", got "4"',
    ),
    (
        "mqtt: {host: mqtt://broker}",
        (7, 14),
        "mqtt.host",
        'expected a host name or an address, without a port, got "mqtt://broker"',
    ),
    (
        "mqtt: {base_topic: /a}",
        (7, 20),
        "mqtt.base_topic",
        "expected a topic without +, # and without / at its ends",
    ),
    (
        "mqtt: {base_topic: homeassistant}",
        (7, 1),
        "mqtt",
        "base_topic and discovery.prefix are the same; expected two topics",
    ),
    (
        "mqtt: {tls: {ca: no.pem}}",
        (7, 18),
        "mqtt.tls.ca",
        "expected a file that exists, and that this user may read",
    ),
    (
        "database: {url: mysql://u:canary@h/d}",
        (7, 17),
        "database.url",
        "expected postgresql://user@host/database, or no url for SQLite",
    ),
    (
        "database: {keep_measures: soon}",
        (7, 27),
        "database.keep_measures",
        'expected forever, or days as "400 days", got "soon"',
    ),
    (
        "web: {trusted_proxies: [here]}",
        (7, 25),
        "web.trusted_proxies[0]",
        'expected an IP address, got "here"',
    ),
    (
        "timezone: Mars",
        (7, 11),
        "timezone",
        "expected the name of a time zone, such as Europe/Paris",
    ),
    (
        f"providers: [{{name: a, night_hours: ['25:00-26:00'], {PRICE}}}]",
        (7, 37),
        "providers[0].night_hours[0]",
        'expected hours such as "22:30-06:30", got "25:00-26:00"',
    ),
    (
        f"providers:\n  - {{name: a, {PRICE}, night_hours: ['22:00-06:00']}}",
        (8, 5),
        "providers[0]",
        "expected both night and night_hours, or neither",
    ),
    (
        f"providers:\n  - {{name: a, {PRICE}}}\n  - {{name: a, {PRICE}}}",
        (9, 12),
        "providers[1].name",
        "the same as providers[0].name; expected another",
    ),
    (
        f"providers: [{{name: a, current: on, {PRICE}}}, {{name: b, current: on, {PRICE}}}]",
        (7, 1),
        "providers",
        "2 contracts are current; expected one",
    ),
]


@pytest.mark.parametrize(("added", "place", "setting", "problem"), MISTAKES)
def test_a_mistake_has_its_place_and_says_what_was_expected(
    added: str, place: tuple[int, int], setting: str, problem: str, refuse: Refuse
) -> None:
    first = refuse(LEAST + added + "\n").mistakes[0]

    assert ((first.line, first.column), first.setting, first.problem) == (place, setting, problem)


@pytest.mark.parametrize(
    ("slug", "problem"),
    [
        ("bridge", '"bridge" is the name of the bridge\'s own topics; choose another slug'),
        ("Main", "expected 1 to 32 of the characters a-z, 0-9, _ and -"),
        ("a" * 33, "expected 1 to 32 of the characters a-z, 0-9, _ and -"),
    ],
)
def test_a_slug_that_topics_cannot_have_is_a_mistake(
    slug: str, problem: str, refuse: Refuse
) -> None:
    (mistake,) = refuse(LEAST.replace("slug: main", f"slug: {slug}")).mistakes

    assert (mistake.line, mistake.column, mistake.problem) == (3, 11, problem)


@pytest.mark.parametrize("name", ["slug: main", "name: CitizenWatt"])
def test_two_sensors_of_one_name_are_a_mistake(name: str, refuse: Refuse) -> None:
    second = LEAST.partition("sensors:\n")[2].replace("main", "b").replace("Citizen", "Other")
    second = (
        second.replace("slug: b", name)
        if "slug" in name
        else second.replace("name: OtherWatt", name)
    )

    (mistake,) = refuse(LEAST + second).mistakes

    assert mistake.problem.startswith("the same as sensors[0]")


def test_every_mistake_is_told_at_once_in_the_order_of_the_file(refuse: Refuse) -> None:
    text = LEAST.replace("240", "soon").replace("slug: main", "slug: bridge") + "mqtt: {prot: 1}\n"

    error = refuse(text)

    assert [mistake.line for mistake in error.mistakes] == [3, 6, 7]


def test_mistakes_are_shown_with_their_line_and_a_caret(path: Path, refuse: Refuse) -> None:
    shown = format_mistakes(refuse(LEAST.replace("240", "soon")))

    assert shown == (
        f"{path}:6:16: sensors[0].voltage_v: expected a number of volts from 90 to 280,"
        ' got "soon"\n'
        "    6 |     voltage_v: soon\n"
        "      |                ^^^^\n"
        "1 mistake; nothing was started. See docs/configuration.md#sensors"
    )


def test_a_missing_list_and_an_empty_one_are_mistakes(refuse: Refuse) -> None:
    error = refuse("receivers: []\nsensors:\n")

    assert [(m.line, m.setting, m.problem) for m in error.mistakes] == [
        (1, "receivers", "expected at least one"),
        (2, "sensors", "is missing"),
    ]


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        load_settings(tmp_path / "none.yaml")
    with pytest.raises(SettingsError, match="a directory; expected a file"):
        load_settings(tmp_path)


def test_relative_paths_are_meant_from_the_settings_folder(load: Load, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()

    settings = load("data_dir: state\nmqtt: {tls: {ca: ca.pem}}\n")

    assert settings.data_dir == tmp_path / "state"
    assert settings.mqtt
    assert settings.mqtt.tls
    assert settings.mqtt.tls.ca == tmp_path / "ca.pem"


def test_the_published_example_key_is_warned_of(load: Load) -> None:
    settings = load()

    advice = warnings(settings)

    assert advice == (
        "sensors[main].key is the published example key: a neighbour's factory sensor decrypts too",
    )


@pytest.mark.parametrize(
    ("port", "advised"),
    [("/dev/ttyUSB0", True), ("/dev/ttyACM1", True), ("/dev/serial/by-id/usb-1", False)],
)
def test_a_port_whose_name_changes_is_warned_of(load: Load, port: str, *, advised: bool) -> None:
    receivers = (ReceiverSettings(name="hall", port=port),)
    settings = load().model_copy(update={"receivers": receivers})

    assert any("/dev/serial/by-id" in text for text in warnings(settings)) is advised


def test_without_any_settings_file_the_places_looked_at_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "cw_mqtt.config.load.DEFAULT_PATHS", (Path("config.yaml"), tmp_path / "etc")
    )

    with pytest.raises(UsageError, match=r"neither config\.yaml nor .*etc exists"):
        find_config(None)


def test_the_file_in_the_working_folder_is_found_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").touch()

    found = find_config(None)

    assert found == Path("config.yaml")
    assert find_config(Path("mine.yaml")) == Path("mine.yaml")
