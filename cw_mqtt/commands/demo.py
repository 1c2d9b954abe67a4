"""`cw-mqtt demo`: the whole bridge on a sensor that does not exist, and all it needs around it."""

import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

import click
from pydantic import ValidationError
from sqlalchemy import Engine

from cw_mqtt.commands.common import duration, load, shares_of, show_progress
from cw_mqtt.config.load import EXAMPLE_KEY
from cw_mqtt.config.settings import (
    DatabaseSettings,
    MqttSettings,
    ReceiverSettings,
    Settings,
    WebSettings,
)
from cw_mqtt.config.values import in_url
from cw_mqtt.errors import UsageError
from cw_mqtt.journal.journal import Journal
from cw_mqtt.measure.tariff import Contract
from cw_mqtt.records import Role
from cw_mqtt.run import run
from cw_mqtt.runtime.logs import set_up_logs
from cw_mqtt.simulate.firmware import PERIOD_S
from cw_mqtt.simulate.household import plausible_power_w
from cw_mqtt.store.engine import make_engine, patient, transaction
from cw_mqtt.store.history import add_missing
from cw_mqtt.store.measures import count_all_measures
from cw_mqtt.store.opening import prepare_database
from cw_mqtt.store.users import Accounts
from cw_mqtt.web.passwords import hash_password

HERE, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 - only to recognize it
SIMULATED = "simulated:"
LOGIN = "demo"
BROKER_WITHIN_S = 15.0
MEASURES_AT_ONCE = 5000
MOSQUITTO = """\
listener {port} {host}
allow_anonymous true
log_type error
log_type warning
"""
AMQTT = """\
listeners: {{default: {{type: tcp, bind: "{host}:{port}"}}}}
plugins:
  amqtt.plugins.authentication.AnonymousAuthPlugin: {{allow_anonymous: true}}
"""


@click.command("demo")
@click.option("--history", type=duration, default="0s", help="Begin with past measures, as 30d.")
@click.pass_obj
def demo_command(config: Path | None, history: timedelta) -> None:
    """Try everything without a sensor.

    A simulated sensor sends what a real one would, every 8 seconds, through an ordinary serial
    port: one for each in config.yaml, if you have written one. A broker is started if none is
    named there. What the demo keeps is in data/demo, apart from what is real.
    """
    try:
        settings, folder = load(config)
    except UsageError:  # nobody has written a config.yaml yet
        settings, folder = example_settings(), Path()
    set_up_logs(settings.logging)
    run_demo(settings, folder, history)


class BrokerProgram(NamedTuple):
    """A broker that the demo can start; `text` is its settings file, with {host} and {port}."""

    path: str
    text: str
    whose: str
    protocol: Literal["auto", "3.1.1"]


def run_demo(settings: Settings, folder: Path, history: timedelta) -> None:
    """Run the bridge on simulated sensors until a signal ends it.

    What it keeps is in `data_dir`/demo, so that nothing simulated gets among what is real.
    Raises what `run` raises, and `UsageError` when there is no broker to be had.
    """
    settings = demo_settings(settings)
    password = _prepare(settings, history)
    web = _free_web(settings.web or WebSettings())
    with demo_broker(settings.mqtt, settings.data_dir) as (mqtt, whose):
        topic = f"{mqtt.base_topic}/{settings.sensors[0].slug}/#"
        click.echo(where_to_look(mqtt, whose, topic, web, password))
        run(settings.model_copy(update={"mqtt": mqtt, "web": web}), folder)


def example_settings() -> Settings:
    """For those who have no config.yaml yet. Raises `UsageError` for a wrong `TZ`."""
    sensor = {"slug": "main", "name": "CitizenWatt", "key": EXAMPLE_KEY.hex()}
    receiver = {"name": "demo", "port": SIMULATED}
    try:
        return Settings.model_validate(
            {"receivers": [receiver], "sensors": [sensor]}, context={"folder": Path()}
        )
    except ValidationError as error:
        raise UsageError(error.errors()[0]["msg"]) from error


def demo_settings(settings: Settings) -> Settings:
    """The same sensors, apart from what is real: other data, other topics on your own broker."""
    mqtt = settings.mqtt
    return settings.model_copy(
        update={
            "data_dir": settings.data_dir / "demo",
            "database": DatabaseSettings(),
            "receivers": (ReceiverSettings(name="demo", port=SIMULATED),),
            "sensors": tuple(s.model_copy(update={"receivers": None}) for s in settings.sensors),
            "mqtt": mqtt and mqtt.model_copy(update={"base_topic": f"{mqtt.base_topic}-demo"}),
        }
    )


def where_to_look(
    mqtt: MqttSettings, whose: str, topic: str, web: WebSettings, password: str
) -> str:
    """What a newcomer does next."""
    page = f"{'https' if web.tls else 'http'}://{in_url(web.host)}:{web.port}/"
    page = page.replace(EVERYWHERE, "localhost")
    user = f" -u {mqtt.username} -P ..." if mqtt.username else ""
    return f"""
This is the demo: a simulated sensor sends a packet every 8 seconds, and the
second one proves the first. Ctrl+C ends it.

  Web page   {page}   login {LOGIN}, password {password}
  Broker     {in_url(mqtt.host)}:{mqtt.port} ({whose})
  Watch      mosquitto_sub -h {mqtt.host} -p {mqtt.port}{user} -v -t '{topic}'

For your own sensors, write your receiver's port and their keys into config.yaml.
"""


def _prepare(settings: Settings, history: timedelta) -> str:
    """Make the database, with a login and at the first start the history; answers the password.

    Raises `InUseError` while another demo runs, `ResourceAwayError` for a folder of no use.
    """
    with closing(Journal(settings.data_dir)) as journal:  # held: nobody else runs or prepares it
        engine = patient(make_engine(settings.database, settings.data_dir))
        ids = prepare_database(engine, settings, time.time())
        # a total that is loaded takes no history into account any more
        loaded = any(state.energy.loaded for state in journal.states().values())
        if history and (loaded or count_all_measures(engine)):
            click.echo("The demo has begun already; no history is added.")
        elif history:
            past_s = history.total_seconds()
            count = int(past_s / PERIOD_S)
            for seed, sensor in enumerate(settings.sensors):
                done = _add_history(engine, settings, ids[sensor.slug], seed, past_s)
                show_progress(f"{count:,} measures of history", shares_of(count, done))
        password = _set_login(Accounts(engine))
        engine.dispose()
    return password


def _set_login(accounts: Accounts) -> str:
    """Let `LOGIN` in with a new password, which is the answer."""
    password = secrets.token_urlsafe(6)
    if accounts.find(LOGIN):
        accounts.set_password(LOGIN, hash_password(password))
    else:
        accounts.add(LOGIN, hash_password(password), Role.WRITE)
    return password


def _add_history(
    engine: Engine, settings: Settings, sensor_id: int, seed: int, past_s: float
) -> Iterator[int]:
    """Store what a sensor would have measured until now, all or nothing; yields counts."""
    is_night = Contract(settings).is_night
    start_ts = int(time.time() - past_s)
    times = (start_ts + int(n * PERIOD_S) for n in range(int(past_s / PERIOD_S)))
    with transaction(engine) as connection:
        while some := list(islice(times, MEASURES_AT_ONCE)):
            points = {(ts, float(plausible_power_w(ts, seed))): is_night(ts) for ts in some}
            yield add_missing(connection, sensor_id, points, settings.energy.max_gap_s)


def _free_web(web: WebSettings) -> WebSettings:
    port = _free_port(web.host, web.port)
    if port != web.port:
        click.echo(f"Port {web.port} cannot be used; the demo's page is on port {port}.")
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
    port = _free_port(HERE, MqttSettings().port)
    broker = broker_program()
    file = folder / "broker.conf"
    file.write_text(broker.text.format(host=HERE, port=port), encoding="utf-8")
    command = [broker.path, "-c", str(file)]
    with (folder / "broker.log").open("wb") as log:
        # its own session: Ctrl+C must end the bridge first, which still has to say goodbye
        process = subprocess.Popen(  # noqa: S603 - the command is made here
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait_for_port(port, process, folder / "broker.log")
        yield MqttSettings(host=HERE, port=port, protocol=broker.protocol), broker.whose
    finally:
        process.terminate()
        process.wait()


def broker_program() -> BrokerProgram:
    """Mosquitto, or the broker of the demo's extra. Raises `UsageError` when there is neither."""
    mosquitto = find_mosquitto()
    if mosquitto:
        return BrokerProgram(mosquitto, MOSQUITTO, "Mosquitto, started for the demo", "auto")
    amqtt = Path(sys.executable).with_name("amqtt")
    if amqtt.exists():
        return BrokerProgram(str(amqtt), AMQTT, "a small broker, started for the demo", "3.1.1")
    raise UsageError(
        "the demo needs a broker: name yours under mqtt in config.yaml, or install Mosquitto "
        "(apt install mosquitto), or `pip install 'cw_mqtt[demo]'`"
    )


def find_mosquitto() -> str | None:
    """Where Mosquitto is; Debian puts it where ordinary users do not look."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


def _wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the broker answers. Raises `UsageError` with what it said when it does not."""
    deadline_s = time.monotonic() + BROKER_WITHIN_S
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise UsageError(f"the demo's broker did not start: {log.read_text()[-500:]}")
        time.sleep(0.05)


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((HERE, port)) == 0


def _free_port(host: str, wanted: int) -> int:
    """The port wanted if it can be listened on, else another one."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, wanted), family=family).close()
    except OSError:
        with socket.create_server((HERE, 0)) as server:
            return int(server.getsockname()[1])
    return wanted
