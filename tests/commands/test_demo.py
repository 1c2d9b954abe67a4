"""The demo as a newcomer meets it: what it prints works, and nothing of it is left running."""

import base64
import re
import shlex
import signal
import socket
import sys
import urllib.request
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

import cw_mqtt.commands.demo
from cw_mqtt.commands.demo import (
    broker_program,
    demo_broker,
    demo_settings,
    example_settings,
    where_to_look,
)
from cw_mqtt.config.settings import MqttSettings, WebSettings
from cw_mqtt.errors import UsageError
from cw_mqtt.simulate.firmware import receiver_line
from tests.command import started, write_config
from tests.end_to_end.process import CW_MQTT, Board, Bridge, Subscriber, retained, rows
from tests.missing import AMQTT, MOSQUITTO, missing, needed
from tests.packets import payloads, powers
from tests.program import HOST, Program, free_port
from tests.settings import SENSOR, settings
from tests.waiting import DEADLINE_S, wait_until

ENERGY = "citizenwatt/main/energy"
DAY_S = 86_400
PERIOD_S = 8.192


class Demo(Program):
    """`cw-mqtt demo`, ended by Ctrl+C; `port` is that of its page in the settings."""

    stop_signal = signal.SIGINT

    def __init__(self, folder: Path, *arguments: str, command: str = "demo") -> None:
        needed("mosquitto", MOSQUITTO)
        port = free_port()
        config = write_config(folder, web={"host": HOST, "port": port})
        super().__init__([CW_MQTT, "--config", config, command, *arguments], folder, port)
        self.data = folder / "data" / "demo"

    def start(self) -> None:
        """See `Program.start`; what an earlier one said is forgotten."""
        self.log_file.unlink(missing_ok=True)
        super().start()

    @property
    def said(self) -> str:
        """All that it printed."""
        return self.log_file.read_text()

    @property
    def broker_port(self) -> int:
        """The port of the broker that it printed."""
        return int(re.findall(r"Broker +127\.0\.0\.1:(\d+)", self.said)[-1])

    def answers(self) -> bool:
        """Whether it is about to work: it has published a total."""
        return "mqtt: works" in self.said and ENERGY in self.topics()

    def topics(self) -> dict[str, str]:
        """What its broker holds."""
        return retained(HOST, self.broker_port)

    def page(self) -> str:
        """The page, with the login that it printed."""
        address, login, password = re.findall(
            r"page +(\S+) +login (\S+), password (\S+)", self.said
        )[-1]
        credentials = base64.b64encode(f"{login}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}"}
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
            return str(answer.read().decode())


@contextmanager
def running(demo):
    try:
        demo.start()
        yield demo
    finally:
        demo.stop()


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A demo that runs for all tests that only look at it."""
    with running(Demo(tmp_path_factory.mktemp("demo"))) as demo:
        yield demo


@contextmanager
def taken(port):
    """The port is in use, by another program if not by this one."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((HOST, port))
            server.listen()
        except OSError:
            assert server.connect_ex((HOST, port)) == 0
        yield


def is_closed(port):
    with socket.socket() as client:
        return client.connect_ex((HOST, port)) != 0


def stored(demo):
    """The measures in the demo's database: (timestamp, power)."""
    folder = demo.data.parent / "data"  # `rows` looks into `data`
    folder.exists() or folder.symlink_to(demo.data)
    return rows(demo.data.parent, None, "timestamp, value")


def carried_kwh(measures):
    joules = sum((a + b) / 2 * (t1 - t0) for (t0, a), (t1, b) in pairwise(measures))
    return joules / 3_600_000


def test_the_printed_login_opens_the_page_with_the_sensor(demo):
    assert "CitizenWatt" in demo.page()


def test_the_printed_line_for_mosquitto_sub_hears_the_first_value(demo):
    words = shlex.split(next(line for line in demo.said.splitlines() if "Watch" in line))
    told = dict(zip(words[2::2], words[3::2], strict=False))

    assert words[1:5:2] == ["mosquitto_sub", HOST]
    with closing(Subscriber(told["-h"], int(told["-p"]), words[-1])) as subscriber:
        power = wait_until(lambda: subscriber.payloads("citizenwatt/main/power"))
    assert 30 < float(power[0]) < 9000


def test_a_second_demo_on_the_same_data_changes_nothing(demo):
    with started(demo.data.parent.parent / "config.yaml", "demo") as second:
        _, said = second.communicate(timeout=DEADLINE_S)

    assert second.returncode == 2
    assert "is in use by process" in said
    assert "CitizenWatt" in demo.page()  # with the login printed before


def test_a_day_of_history_is_in_the_total_once_however_often_it_starts(tmp_path):
    demo = Demo(tmp_path, "--history", "1d")
    with running(demo):
        first_kwh = float(demo.topics()[ENERGY])
    measures = stored(demo)
    with running(demo):
        again_kwh = float(demo.topics()[ENERGY])

    assert len(measures) == pytest.approx(DAY_S / PERIOD_S, abs=5)
    assert first_kwh == pytest.approx(carried_kwh(measures), abs=0.05)
    assert first_kwh <= again_kwh < first_kwh + 0.1
    assert len(stored(demo)) < len(measures) + 5
    assert "no history is added" in demo.said


def test_ctrl_c_ends_the_demo_and_its_broker(tmp_path):
    demo = Demo(tmp_path)
    demo.start()
    port = demo.broker_port

    demo.stop()

    assert demo.exit_code == 0
    assert demo.said.endswith("stopped\n")
    assert is_closed(port)


def test_ports_in_use_are_replaced_and_the_new_ones_said(tmp_path):
    demo = Demo(tmp_path)

    with taken(demo.port), taken(1883), running(demo):
        assert demo.broker_port != 1883
        assert f"Port {demo.port} cannot be used; the demo's page is on port" in demo.said
        assert "CitizenWatt" in demo.page()


def test_run_is_the_demo_when_the_only_receiver_is_simulated(tmp_path):
    demo = Demo(tmp_path, "--demo-when-simulated", command="run")

    with running(demo):
        assert "This is the demo" in demo.said
        assert demo.data.exists()


def test_run_is_the_bridge_when_a_receiver_is_real(tmp_path):
    with closing(Board()) as board:
        real = Bridge(tmp_path, {"receivers": [{"name": "hall", "port": board.port}]})
        real.command.append("--demo-when-simulated")
        real.start()
        real.stop()

    assert "This is the demo" not in real.log_file.read_text()
    assert not (tmp_path / "data" / "demo").exists()


def test_the_demo_needs_no_config(tmp_path):
    demo = Demo(tmp_path)
    (tmp_path / "config.yaml").unlink()
    demo.command = [word for word in demo.command if "config" not in word]

    with running(demo):
        assert "CitizenWatt" in demo.page()
        assert (tmp_path / "data" / "demo" / "journal.sqlite").exists()


def test_the_demo_stays_apart_from_what_is_real(tmp_path):
    real = settings(
        tmp_path,
        sensors=[{**SENSOR, "receivers": ["hall"]}],
        mqtt={"host": "broker.local", "base_topic": "home/power"},
        database={"url": "postgresql://localhost/real"},
    )

    demo = demo_settings(real)

    assert demo.data_dir == tmp_path / "demo"
    assert demo.database.url is None
    assert demo.mqtt == real.mqtt.model_copy(update={"base_topic": "home/power-demo"})
    assert demo.sensors[0].receivers is None


def test_a_configured_broker_is_used_and_none_started(tmp_path):
    mqtt = settings(tmp_path, mqtt={"host": "broker.local"}).mqtt

    with demo_broker(mqtt, tmp_path) as (used, whose):
        assert (used, whose) == (mqtt, "the one in config.yaml")
        assert list(tmp_path.iterdir()) == []


def test_without_mosquitto_the_small_broker_serves_the_bridge(tmp_path, monkeypatch):
    Path(sys.executable).with_name("amqtt").exists() or missing(AMQTT)
    monkeypatch.setattr(cw_mqtt.commands.demo, "find_mosquitto", lambda: None)
    with demo_broker(None, tmp_path) as (mqtt, whose), closing(Board()) as board:
        address = {"host": mqtt.host, "port": mqtt.port, "protocol": mqtt.protocol}
        bridge = Bridge(
            tmp_path, {"mqtt": address, "receivers": [{"name": "hall", "port": board.port}]}
        )
        with running(bridge), closing(Subscriber(mqtt.host, mqtt.port)) as subscriber:
            wait_until(lambda: bridge.works("mqtt", "receiver hall"))
            for seq, payload in enumerate(payloads()):
                board.send(receiver_line(seq, payload))
            wait_until(lambda: subscriber.newest_w() == powers()[-1])

    assert whose == "a small broker, started for the demo"
    assert is_closed(mqtt.port)


def test_without_any_broker_three_remedies_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(cw_mqtt.commands.demo, "find_mosquitto", lambda: None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    with pytest.raises(UsageError, match=r"under mqtt in config.yaml.*apt install.*pip install"):
        broker_program()


def test_what_a_broker_said_that_does_not_start_is_shown(tmp_path, monkeypatch):
    needed("mosquitto", MOSQUITTO)
    monkeypatch.setattr(cw_mqtt.commands.demo, "MOSQUITTO", "nonsense {host} {port}\n")

    with (
        pytest.raises(UsageError, match=r"did not start: .*nonsense"),
        demo_broker(None, tmp_path),
    ):
        pass


def test_a_wrong_zone_of_the_computer_is_refused_without_settings_too(monkeypatch):
    monkeypatch.setenv("TZ", "CET-1CEST")

    with pytest.raises(UsageError, match='TZ, "CET-1CEST", is no time zone known here'):
        example_settings()


def test_the_page_may_be_at_an_ipv6_address():
    web, mqtt = WebSettings(host="::1", port=8080), MqttSettings(host="::1")

    assert "http://[::1]:8080/" in where_to_look(mqtt, "yours", "#", web, "password")
    assert "[::1]:1883" in where_to_look(mqtt, "yours", "#", web, "password")
