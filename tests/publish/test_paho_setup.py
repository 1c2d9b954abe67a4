"""Every way to a broker: TLS, client certificates, websockets, accounts."""

import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.keys import with_passphrase
from tests.missing import MOSQUITTO, needed
from tests.mosquitto import Broker
from tests.program import HOST, free_port
from tests.publish.house import House
from tests.publish.observer import Observer
from tests.waiting import wait_until

MakeBroker = Callable[..., Broker]
PASSWORDS = {
    "signs": r"""#@:,;"'`$\{}!~ %/?&=+""",
    "spaces": "  in and around  ",
    "letters": "Straße €5 日本語 Ω",
    "yaml": "!env HOME",
    "long": "x" * 900,
}
OPEN = "allow_anonymous true"
warned = pytest.mark.usefixtures("caplog")


@dataclass(frozen=True)
class Certificates:
    """PEM files: of an authority, of a broker named `broker.test`, of a client, of a stranger."""

    folder: Path

    def __getitem__(self, name: str) -> str:
        return str(self.folder / f"{name}.pem")


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    authority = trustme.CA()
    broker, client = authority.issue_cert("broker.test"), authority.issue_cert("client.test")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "stranger.pem")
    for name, certificate in (("broker", broker), ("client", client)):
        certificate.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        certificate.private_key_pem.write_to_path(tmp_path / f"{name}-key.pem")
    return Certificates(tmp_path)


@pytest.fixture
def tls(certificates: Certificates) -> list[str]:
    """Settings of a broker that speaks TLS."""
    return [
        f"cafile {certificates['ca']}",
        f"certfile {certificates['broker']}",
        f"keyfile {certificates['broker-key']}",
    ]


@pytest.fixture
def house(tmp_path: Path, make_broker: MakeBroker) -> Iterator[House]:
    """A bridge that knows no broker yet; it leaves before the broker of the test ends."""
    house = House(tmp_path / "data", {})
    yield house
    house.close()


def test_tls_with_an_authority_and_a_name_of_its_own(
    house: House, make_broker: MakeBroker, tls: list[str], certificates: Certificates
) -> None:
    broker = make_broker(*tls, OPEN)
    named = {"ca": certificates["ca"], "server_name": "broker.test"}

    house.start_and_wait(host=broker.host, port=broker.port, tls=named)

    assert house.health.report()["mqtt"]["published"] > 0


def test_a_broker_may_be_at_an_ipv6_address(house: House, make_broker: MakeBroker) -> None:
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    port = free_port()
    make_broker(OPEN, f"listener {port} ::1")

    house.start_and_wait(host="[::1]", port=port)

    assert house.health.report()["mqtt"]["published"] > 0


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((HOST, port)) == 0


def listening_websocket(make_broker: MakeBroker, *lines: str) -> tuple[Broker, int]:
    """A broker with websockets on another port; once more when somebody has taken that meanwhile.

    This Mosquitto starts no websocket without another listener, nor on a single address; it
    comes a moment after the other one, and without it the broker ends.
    """

    for _ in range(3):
        port = free_port()
        broker = make_broker(OPEN, f"listener {port}", "protocol websockets", *lines)
        wait_until(lambda b=broker, p=port: answers(p) or not b.is_running)
        if broker.is_running:
            break
    return broker, port


@pytest.mark.parametrize("secured", [True, False])
def test_websockets_with_and_without_tls(
    house: House, make_broker: MakeBroker, tls: list[str], secured: bool
) -> None:
    broker, port = listening_websocket(make_broker, *(tls if secured else []))
    named = {"verify": False} if secured else None

    house.start_and_wait(host=broker.host, port=port, transport="websockets", tls=named)

    observed = Observer(broker)
    observed.wait_for("citizenwatt/bridge/state", "online")
    observed.close()


@warned
@pytest.mark.parametrize(
    ("ca", "server_name", "words"),
    [("stranger", "broker.test", "mqtt.tls.ca"), ("ca", None, "mqtt.tls.server_name")],
)
def test_a_broker_that_is_not_trusted_is_refused_with_the_setting_to_mend(
    house: House,
    make_broker: MakeBroker,
    tls: list[str],
    certificates: Certificates,
    ca: str,
    server_name: str | None,
    words: str,
) -> None:
    broker = make_broker(*tls, OPEN)
    named = {"ca": certificates[ca], "server_name": server_name}

    house.start(host=broker.host, port=broker.port, tls=named)

    assert words in house.reason()


def test_tls_without_verification_trusts_anybody(
    house: House, make_broker: MakeBroker, tls: list[str]
) -> None:
    broker = make_broker(*tls, OPEN)

    house.start_and_wait(host=broker.host, port=broker.port, tls={"verify": False})

    assert house.health.report()["mqtt"]["published"] > 0


@pytest.fixture
def strict_broker(make_broker: MakeBroker, tls: list[str]) -> Broker:
    """Lets in only clients with a certificate."""
    return make_broker(*tls, OPEN, "require_certificate true")


def test_a_client_certificate_opens_the_door(
    house: House, strict_broker: Broker, certificates: Certificates
) -> None:
    own = {"cert": certificates["client"], "key": certificates["client-key"]}
    named = {"ca": certificates["ca"], "server_name": "broker.test", **own}

    house.start_and_wait(host=strict_broker.host, port=strict_broker.port, tls=named)

    assert house.health.report()["mqtt"]["published"] > 0


def test_a_key_with_a_passphrase_opens_the_door_with_it_alone(
    house: House, strict_broker: Broker, certificates: Certificates, capfd: Any, caplog: Any
) -> None:
    locked = house.folder / "locked.pem"
    locked.write_bytes(with_passphrase(Path(certificates["client-key"]), "canary"))
    own = {"cert": certificates["client"], "key": str(locked), "key_password": "wrong"}
    named = {"ca": certificates["ca"], "server_name": "broker.test", **own}
    house.start(host=strict_broker.host, port=strict_broker.port, tls=named)
    reason = house.reason()
    house.stop()

    house.start_and_wait(
        host=strict_broker.host, port=strict_broker.port, tls=named | {"key_password": "canary"}
    )

    assert "mqtt.tls" in reason
    assert capfd.readouterr() == ("", "")


@warned
def test_without_its_client_certificate_the_door_stays_shut(
    house: House, strict_broker: Broker, certificates: Certificates
) -> None:
    named = {"ca": certificates["ca"], "server_name": "broker.test"}

    house.start(host=strict_broker.host, port=strict_broker.port, tls=named)

    assert "mqtt.tls" in house.reason()


@pytest.fixture
def guarded_broker(make_broker: MakeBroker, tmp_path: Path) -> Broker:
    """Lets in the users of `PASSWORDS`."""
    file = tmp_path / "passwords"
    file.touch(mode=0o600)
    program = needed("mosquitto_passwd", MOSQUITTO)
    for user, password in PASSWORDS.items():
        subprocess.run([program, "-b", file, user, password], check=True)
    return make_broker("allow_anonymous false", f"password_file {file}")


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("user", PASSWORDS)
def test_a_password_may_hold_any_printable_character(
    house: House, guarded_broker: Broker, user: str, protocol: str
) -> None:
    house.start_and_wait(
        host=guarded_broker.host,
        port=guarded_broker.port,
        username=user,
        password=PASSWORDS[user],
        protocol=protocol,
    )

    assert house.health.report()["mqtt"]["protocol"] == protocol


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_wrong_password_is_refused_with_the_settings_to_mend(
    house: House, guarded_broker: Broker, caplog: pytest.LogCaptureFixture, protocol: str
) -> None:
    house.start(
        host=guarded_broker.host,
        port=guarded_broker.port,
        username="signs",
        password="wrong-s3cret",
        protocol=protocol,
    )

    assert "mqtt.username and mqtt.password" in house.reason()
    assert "wrong-s3cret" not in caplog.text
