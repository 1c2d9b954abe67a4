"""The demo: the whole bridge on a sensor that does not exist, with all that it needs around it."""

import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import click
from sqlalchemy import Engine

from cw_mqtt.config.settings import (
    DatabaseSettings,
    MqttSettings,
    ReceiverSettings,
    Settings,
    WebSettings,
)
from cw_mqtt.errors import UsageError
from cw_mqtt.measure.tariff import is_night
from cw_mqtt.running import run
from cw_mqtt.simulate import PERIOD_S, plausible_power_w
from cw_mqtt.store.accounts import Accounts
from cw_mqtt.store.engine import make_engine
from cw_mqtt.store.measures import count_measures, insert_history
from cw_mqtt.store.writer import prepare_database
from cw_mqtt.web.auth import hash_password

HERE = "127.0.0.1"
LOGIN = "demo"
BROKER_WITHIN_S = 15.0
MOSQUITTO = """\
listener {port} {host}
allow_anonymous true
log_type warning
"""
AMQTT = """\
listeners: {{default: {{type: tcp, bind: "{host}:{port}"}}}}
plugins:
  amqtt.plugins.authentication.AnonymousAuthPlugin: {{allow_anonymous: true}}
"""


def run_demo(settings: Settings, folder: Path, history: timedelta) -> None:
    """Run the bridge on simulated sensors until a signal ends it.

    What it keeps is in `data_dir`/demo, so that nothing simulated gets among what is real.
    Raises what `run` raises, and `UsageError` when there is no broker to be had.
    """
    data_dir = settings.data_dir / "demo"
    data_dir.mkdir(parents=True, exist_ok=True)
    web = free_web(settings.web or WebSettings())
    settings = settings.model_copy(
        update={
            "data_dir": data_dir,
            "database": DatabaseSettings(),
            "receivers": (ReceiverSettings(name="demo", port="simulated:"),),
            "web": web,
        }
    )
    password = prepare(settings, history)
    with demo_broker(settings.mqtt, data_dir) as (mqtt, whose):
        topic = f"{mqtt.base_topic}/{settings.sensors[0].slug}/#"
        click.echo(where_to_look(mqtt, whose, topic, web.port, password))
        run(settings.model_copy(update={"mqtt": mqtt}), folder)


def where_to_look(mqtt: MqttSettings, whose: str, topic: str, web_port: int, password: str) -> str:
    """What a newcomer does next."""
    user = f" -u {mqtt.username} -P ..." if mqtt.username else ""
    return f"""
This is the demo: a simulated sensor sends a packet every 8 seconds, and the
second one proves the first. Ctrl+C ends it.

  Web page   http://localhost:{web_port}/   login {LOGIN}, password {password}
  Broker     {mqtt.host}:{mqtt.port} ({whose})
  Watch      mosquitto_sub -h {mqtt.host} -p {mqtt.port}{user} -v -t '{topic}'

For your own sensors, write your receiver's port and their keys into config.yaml.
"""


def prepare(settings: Settings, history: timedelta) -> str:
    """Make the database, with a login and, if it is empty, the history; answers the password."""
    engine = make_engine(settings.database, settings.data_dir)
    now_ts = int(time.time())
    ids = prepare_database(engine, settings, now_ts)
    accounts, password = Accounts(engine), secrets.token_urlsafe(6)
    if accounts.find(LOGIN):
        accounts.set_password(LOGIN, hash_password(password))
    else:
        accounts.add(LOGIN, hash_password(password), admin=True)
    if history and count_measures(engine):
        click.echo("The demo has measures already; no history is added.")
    elif history:
        for seed, sensor in enumerate(settings.sensors):
            start_ts = now_ts - int(history.total_seconds())
            add_history(engine, settings, ids[sensor.slug], seed, (start_ts, now_ts))
    engine.dispose()
    return password


def add_history(
    engine: Engine, settings: Settings, sensor_id: int, seed: int, span: tuple[int, int]
) -> None:
    """Store what a sensor would have measured between two instants, with a progress bar."""
    start_ts, end_ts = span
    count = int((end_ts - start_ts) / PERIOD_S)
    points = (
        (ts, float(plausible_power_w(ts, seed)), is_night(ts, settings))
        for ts in (start_ts + int(n * PERIOD_S) for n in range(count))
    )
    with click.progressbar(length=count, label=f"{count:,} measures of history") as bar:
        insert_history(engine, sensor_id, points, lambda written: bar.update(written - bar.pos))
        bar.update(count - bar.pos)


def free_web(web: WebSettings) -> WebSettings:
    """The web settings, on another port when theirs is taken."""
    if is_free(web.port):
        return web
    port = free_port()
    click.echo(f"Port {web.port} is in use; the demo's page is on port {port}.")
    return web.model_copy(update={"port": port})


@contextmanager
def demo_broker(
    configured: MqttSettings | None, folder: Path
) -> Iterator[tuple[MqttSettings, str]]:
    """A broker, and whose it is: the configured one, Mosquitto, or the one of the demo's extra.

    Raises `UsageError` when there is none.
    """
    if configured:
        yield configured, "the one in config.yaml"
        return
    port = MqttSettings().port
    port = port if is_free(port) else free_port()
    command, text, whose = broker_program(folder)
    (folder / "broker.conf").write_text(text.format(host=HERE, port=port), encoding="utf-8")
    with (folder / "broker.log").open("wb") as log:
        # its own session: Ctrl+C must end the bridge first, which still has to say goodbye
        process = subprocess.Popen(  # noqa: S603 - the command is made here
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for_port(port, process, folder / "broker.log")
        yield MqttSettings(host=HERE, port=port), whose
    finally:
        process.terminate()
        process.wait()


def broker_program(folder: Path) -> tuple[list[str], str, str]:
    """The command of a broker, its settings with {host} and {port}, and its name."""
    file = str(folder / "broker.conf")
    mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if mosquitto:
        return [mosquitto, "-c", file], MOSQUITTO, "Mosquitto, started for the demo"
    amqtt = Path(sys.executable).with_name("amqtt")
    if amqtt.exists():
        return [str(amqtt), "-c", file], AMQTT, "a small broker, started for the demo"
    raise UsageError(
        "the demo needs a broker: name yours under mqtt in config.yaml, or install Mosquitto "
        "(apt install mosquitto), or `pip install 'cw_mqtt[demo]'`"
    )


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the broker answers. Raises `UsageError` with what it said when it does not."""
    deadline_s = time.monotonic() + BROKER_WITHIN_S
    while is_free(port):
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise UsageError(f"the demo's broker did not start: {log.read_text()[-500:]}")
        time.sleep(0.05)


def is_free(port: int) -> bool:
    """Whether nobody answers on this port of this machine."""
    with socket.socket() as client:
        return client.connect_ex((HERE, port)) != 0


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.create_server((HERE, 0)) as server:
        port: int = server.getsockname()[1]
    return port
