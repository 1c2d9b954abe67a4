from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from cw_mqtt.config import values
from cw_mqtt.config.load import warnings
from cw_mqtt.config.settings import Settings
from cw_mqtt.config.values import HourWindow
from tests.config.conftest import LEAST, Load, Refuse
from tests.settings import settings

PROVIDERS = """\
providers:
  - {name: Old, day: {eur_per_kwh: 0.3}}
  - {name: Blue, day: {eur_per_kwh: 0.1}}
  - name: Blue
    from: 2025-02-01
    current: true
    day: {eur_per_kwh: 0.2068, eur_per_month: 15.96}
    night: {eur_per_kwh: 0.1579}
    night_hours: ["22:30-06:30", "12:00-14:00"]
"""


def test_all_but_receivers_and_sensors_may_be_left_out(load: Load) -> None:
    settings = load()

    assert settings.mqtt is None
    assert settings.database.url is None
    assert settings.web
    assert settings.web.port == 8080
    assert settings.providers == ()
    assert settings.sensors[0].availability_timeout_s is None


def test_a_section_whose_lines_are_all_comments_counts_as_left_out(load: Load) -> None:
    settings = load("mqtt:\n  # host: broker\nenergy:\n")

    assert settings.mqtt is None
    assert settings.energy.max_gap_s == 300


@pytest.mark.parametrize("switch", ["off", "false"])
def test_the_web_can_be_switched_off(switch: str, load: Load) -> None:
    assert load(f"web: {switch}\n").web is None


@pytest.mark.parametrize("switch", ["on", "'on'", "true", "{}"])
def test_the_web_can_be_switched_on(switch: str, load: Load) -> None:
    assert load(f"web: {switch}\n").web == load().web


def test_a_web_certificate_of_nulls_is_plain_http(load: Load) -> None:
    web = load("web: {tls: {cert: null, key: null}}\n").web

    assert web
    assert web.tls is None


@pytest.mark.parametrize(
    ("written", "kept"), [("forever", None), ("400 days", timedelta(days=400))]
)
def test_measures_are_kept_for_days_or_forever(
    written: str, kept: timedelta | None, load: Load
) -> None:
    assert load(f"database: {{keep_measures: {written}}}\n").database.keep_measures == kept


def test_a_protocol_may_be_written_as_a_number(load: Load) -> None:
    mqtt = load("mqtt: {protocol: 5}\n").mqtt

    assert mqtt
    assert mqtt.protocol == "5"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_password_in_the_database_url_becomes_a_secret(scheme: str, load: Load) -> None:
    database = load(f"database: {{url: '{scheme}://cw:a%20b:#@c@db:5433/watt'}}\n").database

    assert database.url == f"{scheme}://cw@db:5433/watt"
    assert database.password
    assert database.password.get_secret_value() == "a b:#@c"


def test_every_line_of_the_current_contract_is_current(load: Load) -> None:
    providers = load(PROVIDERS).providers

    assert [(line.name, line.since, line.current) for line in providers] == [
        ("Old", None, False),
        ("Blue", None, True),
        ("Blue", date(2025, 2, 1), True),
    ]


def test_the_first_contract_is_current_when_none_says_so(load: Load) -> None:
    providers = load(PROVIDERS.replace("current: true", "current: false")).providers

    assert [line.current for line in providers] == [True, False, False]


def test_night_hours_are_seconds_after_midnight(load: Load) -> None:
    night_hours = load(PROVIDERS).providers[2].night_hours

    assert night_hours == (HourWindow(81_000, 23_400), HourWindow(43_200, 50_400))


@pytest.mark.parametrize(
    ("system", "zone"),
    [
        ("Asia/Tokyo", "Asia/Tokyo"),
        (":Asia/Tokyo", "Asia/Tokyo"),
        (":/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo"),
    ],
)
def test_the_time_zone_is_the_computers_unless_set(
    system: str, zone: str, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", system)

    assert load().timezone == ZoneInfo(zone)
    assert load("timezone: Europe/Paris\n").timezone == ZoneInfo("Europe/Paris")


@pytest.mark.parametrize("system", ["CET-1CEST,M3.5.0,M10.5.0/3", "Europe/Pari", "?", "/none"])
def test_a_wrong_zone_of_the_computer_is_refused_and_does_not_matter_where_one_is_set(
    system: str, refuse: Refuse, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", system)

    (mistake,) = refuse(LEAST).mistakes

    assert mistake.setting == "timezone"
    assert mistake.problem == (
        f'the environment variable TZ, "{system}", is no time zone known here; '
        "set timezone, such as Europe/Paris"
    )
    assert load("timezone: Europe/Paris\n").timezone == ZoneInfo("Europe/Paris")


def test_a_computers_zone_may_be_a_file_without_a_name(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(values, "ZONE_FILE", tmp_path / "localtime")
    (tmp_path / "localtime").write_bytes(Path("/usr/share/zoneinfo/Europe/Paris").read_bytes())

    zone = load().timezone

    assert f"{datetime(2026, 7, 1, tzinfo=zone):%z}" == "+0200"
    assert str(zone) == str(tmp_path / "localtime")


def test_a_computer_without_a_zone_is_in_utc(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(values, "ZONE_FILE", tmp_path / "none")

    assert load().timezone == ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("zone", "advised"), [("UTC", True), ("Atlantic/Reykjavik", True), ("Europe/London", False)]
)
def test_night_hours_in_a_zone_that_nobody_chose_are_advised_against(
    zone: str, advised: bool, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)

    assert any("night_hours" in advice for advice in warnings(load(PROVIDERS))) is advised
    assert not any("night_hours" in advice for advice in warnings(load()))
    assert not any(
        "night_hours" in advice for advice in warnings(load(PROVIDERS + f"timezone: {zone}\n"))
    )


def test_a_key_with_a_passphrase_needs_the_passphrase(
    load: Load, refuse: Refuse, tmp_path: Path
) -> None:
    (tmp_path / "key.pem").write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    (tmp_path / "cert.pem").write_text("")
    files = "web:\n  tls: {cert: cert.pem, key: key.pem"

    (mistake,) = refuse(f"{LEAST}{files}}}\n").mistakes
    web = load(f"{files}, key_password: canary}}\n").web

    assert mistake.setting == "web.tls"
    assert mistake.problem.startswith("the key is protected by a passphrase; set key_password")
    assert web
    assert web.tls
    assert web.tls.passphrase == "canary"


def test_settings_never_show_a_key_or_a_password(load: Load) -> None:
    settings: Settings = load(
        "mqtt: {password: canary}\ndatabase: {url: 'postgres://u:canary@h/d'}\n"
    )

    shown = f"{settings!r} {settings}"

    assert "canary" not in shown
    assert "x01" not in shown
    assert "0102" not in shown


def test_a_radio_on_spi_is_raw(tmp_path):
    chosen = settings(tmp_path, receivers=[{"name": "roof", "port": "spi:0.0"}])

    assert chosen.receivers[0].form == "raw"


def test_a_radio_on_spi_writes_no_lines(tmp_path):
    receiver = {"name": "roof", "port": "spi:0.0", "format": "lines"}

    with pytest.raises(ValidationError, match="expected format auto with spi:"):
        settings(tmp_path, receivers=[receiver])
