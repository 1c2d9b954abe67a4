"""Every setting of config.yaml, with its type, limits and default."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    PrivateAttr,
    SecretBytes,
    SecretStr,
    field_validator,
    model_validator,
)

from cw_mqtt.config.contract import ProviderSettings
from cw_mqtt.config.section import Amount, Count, Name, Section, Switch, Text
from cw_mqtt.config.values import (
    at_least_one,
    beside_settings,
    existing_file,
    expected,
    needs_passphrase,
    parse_address,
    parse_database_url,
    parse_host,
    parse_keep,
    parse_key,
    parse_port,
    parse_slug,
    parse_timezone,
    parse_topic,
    wrong,
)
from cw_mqtt.decode.formats import FORMATS

Host = Annotated[
    str, AfterValidator(parse_host), expected("a host name or an address, without a port")
]
Port = Annotated[int, Field(ge=1, le=65535), expected("a port from 1 to 65535")]
Key = Annotated[SecretBytes, BeforeValidator(parse_key)]
Topic = Annotated[Text, AfterValidator(parse_topic)]
File = Annotated[Path, AfterValidator(existing_file)]
if TYPE_CHECKING:
    PacketFormat = str
else:
    PacketFormat = Literal[("auto", *sorted(FORMATS))]


class ReceiverSettings(Section):
    """Where encrypted packets come in."""

    name: Text
    port: Annotated[Text, AfterValidator(parse_port)]
    baudrate: Count = 57600
    format: Literal["auto", "lines", "raw"] = "auto"

    @model_validator(mode="after")
    def _spi_is_raw(self) -> Self:
        if self.port.startswith("spi:") and self.format == "lines":
            raise wrong("lines are what a receiver board writes; expected format auto with spi:")
        return self

    @property
    def form(self) -> Literal["auto", "lines", "raw"]:
        """How payloads are told apart: from the radio itself they come alone, never in lines."""
        return "raw" if self.port.startswith("spi:") else self.format


class PublishSettings(Section):
    """How often a sensor's readings are published; zeros: every reading.

    `energy_every_s` is the energy total's own pace; None: together with the power.
    """

    every_s: Amount = 0
    on_change_w: Amount = 0
    energy_every_s: Amount | None = None


class SensorSettings(Section):
    """One sensor; `availability_timeout_s` None is auto, `receivers` None is any."""

    slug: Annotated[Text, AfterValidator(parse_slug)]
    name: Name
    key: Key
    previous_keys: tuple[Key, ...] = ()
    format: PacketFormat = "auto"
    voltage_v: Annotated[
        float, Field(ge=90, le=280), expected("a number of volts from 90 to 280")
    ] = 240
    power_scale: Annotated[float, Field(gt=0), expected("a number above 0")] = 1
    start_kwh: Amount = 0
    max_power_w: Annotated[float, Field(gt=0), expected("a number of watts above 0")] = 36000
    availability_timeout_s: Annotated[
        float | None,
        Field(gt=0),
        expected("auto or a number of seconds above 0"),
        BeforeValidator(lambda value: None if value == "auto" else value),
    ] = None
    publish: PublishSettings = PublishSettings()
    receivers: tuple[Text, ...] | None = None


class CertificateSettings(Section):
    """A certificate and its key, PEM files; without `key` the certificate's file has both."""

    cert: File | None = None
    key: File | None = None
    key_password: SecretStr | None = None

    @property
    def passphrase(self) -> str:
        """What opens the key; a text in any case, since OpenSSL asks at the terminal for None."""
        return self.key_password.get_secret_value() if self.key_password else ""

    @property
    def doubt(self) -> str:
        """For the end of a sentence that these files cannot be used: OpenSSL names no reason."""
        return "; is key_password right?" if self.key_password else ""

    @model_validator(mode="after")
    def _key_needs_cert(self) -> Self:
        if self.key and not self.cert:
            raise wrong("a key without its cert; expected both files")
        if self.cert and not self.key_password and needs_passphrase(self.key or self.cert):
            raise wrong(
                "the key is protected by a passphrase; set key_password, or remove it with "
                "openssl pkey -in KEY -out NEW_KEY"
            )
        return self


class TlsSettings(CertificateSettings):
    """TLS towards the broker; `ca` None trusts what the system trusts."""

    ca: File | None = None
    verify: Switch = True
    server_name: Text | None = None


class DiscoverySettings(Section):
    """How Home Assistant finds the sensors by itself."""

    style: Literal["device", "entity", "none"] = "device"
    prefix: Topic = "homeassistant"
    birth_topic: Topic = "homeassistant/status"


class MqttSettings(Section):
    """The broker, and what is published there."""

    host: Host = "localhost"
    port: Port = 1883
    username: Text | None = None
    password: SecretStr | None = None
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    tls: TlsSettings | None = None
    transport: Literal["tcp", "websockets"] = "tcp"
    path: Annotated[str, Field(pattern="^/"), expected("a path such as /mqtt")] = "/mqtt"
    base_topic: Topic = "citizenwatt"
    discovery: DiscoverySettings = DiscoverySettings()
    allow_requests: tuple[Literal["restart", "config/reload", "discovery/republish"], ...] = ()

    @model_validator(mode="after")
    def _topics_apart(self) -> Self:
        if self.base_topic == self.discovery.prefix:
            raise wrong("base_topic and discovery.prefix are the same; expected two topics")
        return self


class DatabaseSettings(Section):
    """Where measures are kept; `url` None is SQLite in data_dir, `keep_measures` None forever."""

    url: Annotated[str, AfterValidator(parse_database_url)] | None = None
    password: SecretStr | None = None
    keep_measures: Annotated[
        timedelta | None, BeforeValidator(parse_keep), expected('forever, or days as "400 days"')
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _password_out_of_url(cls, given: Any) -> Any:
        """A password written in the URL is a secret like any other."""
        if not isinstance(given, dict) or not isinstance(given.get("url"), str):
            return given
        userinfo, at, rest = given["url"].rpartition("@")
        start, colon, password = userinfo.partition("://")[2].partition(":")
        if not at or not colon or "password" in given:
            return given
        scheme = userinfo.partition("://")[0]
        return {**given, "url": f"{scheme}://{start}@{rest}", "password": unquote(password)}


class WebSettings(Section):
    """The page and the HTTP API; `tls` None is plain HTTP."""

    host: Host = "0.0.0.0"  # noqa: S104 - every call needs a login
    port: Port = 8080
    tls: CertificateSettings | None = None
    trusted_proxies: tuple[
        Annotated[str, AfterValidator(parse_address), expected("an IP address")], ...
    ] = ()
    base_path: Annotated[
        str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$"), expected("a path such as /meter")
    ] = ""
    max_returned_values: Count = 500

    @field_validator("tls")
    @classmethod
    def _no_cert_no_tls(cls, tls: CertificateSettings | None) -> CertificateSettings | None:
        return tls if tls and tls.cert else None


class EnergySettings(Section):
    """How energy and money are counted."""

    max_gap_s: Annotated[
        int, Field(ge=1, le=86400), expected("a whole number of seconds from 1 to 86400, a day")
    ] = 300
    currency: Annotated[
        str, Field(pattern=r"^[A-Z]{3}$"), expected("three letters such as EUR")
    ] = "EUR"


class JournalSettings(Section):
    """`relaxed` writes flash memory less; a power cut may cost the last seconds."""

    durability: Literal["full", "relaxed"] = "full"


class LoggingSettings(Section):
    """What is logged, and in which form; `auto` is text, or journald's where it listens."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "text", "journald", "json"] = "auto"


class Settings(Section):
    """All of config.yaml; `mqtt` None publishes nothing, `web` None serves nothing."""

    timezone: Annotated[ZoneInfo, PlainValidator(parse_timezone)] = Field(
        default=None, validate_default=True
    )
    data_dir: Annotated[Path, AfterValidator(beside_settings), Field(validate_default=True)] = Path(
        "data"
    )
    receivers: Annotated[tuple[ReceiverSettings, ...], AfterValidator(at_least_one)]
    sensors: Annotated[tuple[SensorSettings, ...], AfterValidator(at_least_one)]
    mqtt: MqttSettings | None = None
    database: DatabaseSettings = DatabaseSettings()
    web: WebSettings | None = WebSettings()
    energy: EnergySettings = EnergySettings()
    journal: JournalSettings = JournalSettings()
    logging: LoggingSettings = LoggingSettings()
    providers: tuple[ProviderSettings, ...] = ()
    _files: tuple[Path, ...] = PrivateAttr(default=())

    @property
    def files(self) -> tuple[Path, ...]:
        """config.yaml, and the files from which it takes values."""
        return self._files

    def note_files(self, files: tuple[Path, ...]) -> None:
        """Remember from which files these settings were read."""
        self._files = files

    @field_validator("web", mode="before")
    @classmethod
    def _web_switch(cls, web: object) -> object:
        """`web: off` and `web: on`."""
        if web in ("off", "false", False):
            return None
        return {} if web in ("on", "true", True) else web

    @field_validator("providers")
    @classmethod
    def _current_contract(cls, lines: tuple[ProviderSettings, ...]) -> tuple[ProviderSettings, ...]:
        """Every line of the current contract says so; the first contract, when none does."""
        current = {line.name for line in lines if line.current} or {line.name for line in lines[:1]}
        if len(current) > 1:
            raise wrong(f"{len(current)} contracts are current; expected one")
        return tuple(line.model_copy(update={"current": line.name in current}) for line in lines)
