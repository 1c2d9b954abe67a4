"""All stages plugged together, from the settings, on CherryPy's bus."""

import hashlib
import logging
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import cherrypy
from sqlalchemy import Engine

from cw_mqtt import __version__
from cw_mqtt.acquire.ports import make_receiver
from cw_mqtt.bridge import Bridge
from cw_mqtt.config.load import warnings
from cw_mqtt.config.settings import MqttSettings, Settings, WebSettings
from cw_mqtt.health import Health
from cw_mqtt.journal import Journal
from cw_mqtt.keys import fingerprint
from cw_mqtt.measure.tariff import is_night
from cw_mqtt.model import Event
from cw_mqtt.reloading import SettingsWatch
from cw_mqtt.stages import Service, Stage, Stages
from cw_mqtt.store.accounts import Accounts
from cw_mqtt.store.archive import Archive
from cw_mqtt.store.engine import make_engine
from cw_mqtt.store.schema import HEAD
from cw_mqtt.store.tokens import Tokens
from cw_mqtt.store.writer import DatabaseWriter

log = logging.getLogger(__name__)

EVENTS_KEPT = 200
BEGIN_ANEW = signal.SIGUSR1
SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, BEGIN_ANEW}


def run(settings: Settings, folder: Path, watched: Path | None = None) -> bool:
    """Run the bridge until a signal ends it; paths of ports are meant from `folder`.

    `watched` is the file of these settings, to be taken up when it changes.
    Returns whether the bridge is to be started again, as a request or changed settings want it.
    Raises `InUseError` when another process holds the journal, `ResourceAwayError` when
    `data_dir` cannot be used, `UsageError` for a port of no known kind; after that, nothing but
    a signal ends it.
    """
    health = Health()
    health.show("timezone", value=str(settings.timezone))
    journal = Journal(settings.data_dir, durable=settings.journal.durability == "full")
    try:
        services = make_services(settings, folder, journal, health, watched)
        for text in warnings(settings):
            log.warning("%s", text)
        log.info(
            "cw-mqtt %s, %d sensors, time zone %s",
            __version__,
            len(settings.sensors),
            settings.timezone,
        )
        for sensor in settings.sensors:
            log.info("sensor %s: key %s", sensor.slug, fingerprint(sensor.key.get_secret_value()))
        again = serve_until_signal(Stages([Stage(service, health) for service in services]))
        log.info("stopped")
    finally:
        journal.close()
    return again.is_set()


def start_again() -> NoReturn:
    """Become a new process of the same command, with settings read anew."""
    logging.shutdown()
    os.execv(sys.executable, [sys.executable, "-m", "cw_mqtt", *sys.argv[1:]])  # noqa: S606 - our own command


def config_hash(settings: Settings) -> str:
    """Tells settings apart without telling anything of them; secrets are not part of it."""
    return hashlib.sha256(settings.model_dump_json(warnings=False).encode()).hexdigest()[:12]


def make_services(
    settings: Settings,
    folder: Path,
    journal: Journal,
    health: Health,
    watched: Path | None,
) -> list[Service]:
    """Every service that the settings ask for, in the order in which they stop."""
    events: deque[Event] = deque(maxlen=EVENTS_KEPT)
    engine = make_engine(settings.database, settings.data_dir)
    bridge = Bridge(settings, journal, health, events)
    keys = [sensor.key.get_secret_value() for sensor in settings.sensors]
    services: list[Service] = [
        make_receiver(receiver, folder, keys, bridge.receive, health)
        for receiver in settings.receivers
    ]
    services.append(bridge)
    actions = {"restart": ask_for_restart}
    if watched:

        def tell(event: Event) -> None:
            events.append(event)
            journal.ring()

        watch = SettingsWatch(watched, settings, tell, ask_for_restart)
        actions["config/reload"] = watch.reload
        services.insert(0, watch)
    if settings.mqtt:
        publisher = make_publisher(
            settings.mqtt, settings, journal, health, events, bridge, actions
        )
        services.append(publisher)
    services.append(DatabaseWriter(engine, settings, journal, health, bridge.load))
    if settings.web:
        services.insert(0, make_web(settings.web, settings, journal, health, engine))
    return services


def make_publisher(
    mqtt: MqttSettings,
    settings: Settings,
    journal: Journal,
    health: Health,
    events: deque[Event],
    bridge: Bridge,
    actions: Mapping[str, Callable[[], None]],
) -> Service:
    """The MQTT stage; imported here, since a bridge without a broker does not need it."""
    from cw_mqtt.publish.service import MqttPublisher

    return MqttPublisher(
        mqtt,
        settings,
        journal=journal,
        health=health,
        events=events,
        announce_total=bridge.announce_total,
        bridge_info=lambda: {
            "started": health.started,
            "database": "postgresql" if settings.database.url else "sqlite",
            "schema": HEAD,
            "config_hash": config_hash(settings),
            "warnings": warnings(settings),
        },
        actions=actions,
    )


def make_web(
    web: WebSettings, settings: Settings, journal: Journal, health: Health, engine: Engine
) -> Service:
    """The web stage; imported here, since a bridge without the web does not need it."""
    from cw_mqtt.web.server import WebServer

    return WebServer(
        web,
        sensors=settings.sensors,
        journal=journal,
        health=health,
        archive=Archive(engine, settings),
        is_night=lambda ts: is_night(ts, settings),
        accounts=Accounts(engine),
        tokens=Tokens(engine),
        base_topic=settings.mqtt.base_topic if settings.mqtt else None,
    )


def ask_for_restart() -> None:
    """Stop in order and begin anew; for any thread, since the bus is stopped by the main one."""
    os.kill(os.getpid(), BEGIN_ANEW)


def serve_until_signal(stages: Stages) -> threading.Event:
    """Run stages on CherryPy's bus until SIGTERM, Ctrl+C or `ask_for_restart`.

    The answer is set if it is to begin anew. Who ends it meanwhile ends it for good.
    """
    bus: Any = cherrypy.engine
    again = threading.Event()

    def end() -> None:
        again.clear()
        bus.exit()

    def begin_anew() -> None:
        if bus.state == bus.states.STARTED:
            again.set()
            bus.exit()

    bus.autoreload.unsubscribe()
    cherrypy.server.unsubscribe()  # the web stage listens by itself, so that it may try again
    cherrypy.config.update({"checker.on": False})
    cherrypy.log.screen = False
    cherrypy.log.error_log.setLevel(logging.WARNING)
    bus.signal_handler.handlers |= {
        "SIGTERM": end,
        # not as KeyboardInterrupt, of which a second one would break off the stop
        "SIGINT": end,
        # a terminal that is closed takes what runs in it along; a service goes on
        "SIGHUP": end if on_terminal() else bus.graceful,
        BEGIN_ANEW.name: begin_anew,
    }
    bus.signal_handler.subscribe()
    stages.subscribe(bus)
    # a signal that came while the bus starts would end the process at once, with code 70
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    bus.start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    bus.block(interval=0.5)
    return again


def on_terminal() -> bool:
    """Whether a person started this in a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()
