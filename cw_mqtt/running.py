"""All stages plugged together, from the settings, on CherryPy's bus."""

import logging
import signal
import sys
from collections import deque
from pathlib import Path
from typing import Any

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
from cw_mqtt.stages import Service, Stage, Stages
from cw_mqtt.store.accounts import Accounts
from cw_mqtt.store.archive import Archive
from cw_mqtt.store.engine import make_engine
from cw_mqtt.store.tokens import Tokens
from cw_mqtt.store.writer import DatabaseWriter

log = logging.getLogger(__name__)

EVENTS_KEPT = 200
SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def run(settings: Settings, folder: Path) -> None:
    """Run the bridge until a signal ends it; paths of ports are meant from `folder`.

    Raises `InUseError` when another process holds the journal, `ResourceAwayError` when
    `data_dir` cannot be used, `UsageError` for a port of no known kind; after that, nothing but
    a signal ends it.
    """
    health = Health()
    journal = Journal(settings.data_dir, durable=settings.journal.durability == "full")
    try:
        services = make_services(settings, folder, journal, health)
        for text in warnings(settings):
            log.warning("%s", text)
        log.info("cw-mqtt %s, %d sensors", __version__, len(settings.sensors))
        for sensor in settings.sensors:
            log.info("sensor %s: key %s", sensor.slug, fingerprint(sensor.key.get_secret_value()))
        serve_until_signal(Stages([Stage(service, health) for service in services]))
        log.info("stopped")
    finally:
        journal.close()


def make_services(
    settings: Settings, folder: Path, journal: Journal, health: Health
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
    if settings.mqtt:
        services.append(make_publisher(settings.mqtt, settings, journal, health, events, bridge))
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
) -> Service:
    """The MQTT stage; imported here, since a bridge without a broker does not need it."""
    from cw_mqtt.publish.service import MqttPublisher

    return MqttPublisher(
        mqtt,
        settings.sensors,
        night_prices=any(line.current and line.night for line in settings.providers),
        journal=journal,
        health=health,
        events=events,
        announce_total=bridge.announce_total,
        bridge_info=lambda: {
            "started": health.started,
            "database": "postgresql" if settings.database.url else "sqlite",
            "warnings": warnings(settings),
        },
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


def serve_until_signal(stages: Stages) -> None:
    """Run stages on CherryPy's bus until SIGTERM or Ctrl+C."""
    bus: Any = cherrypy.engine
    bus.autoreload.unsubscribe()
    cherrypy.server.unsubscribe()  # the web stage listens by itself, so that it may try again
    cherrypy.config.update({"checker.on": False})
    cherrypy.log.screen = False
    cherrypy.log.error_log.setLevel(logging.WARNING)
    # not as KeyboardInterrupt, of which a second one would break off the stop
    bus.signal_handler.handlers["SIGINT"] = bus.exit
    # a terminal that is closed takes what runs in it along; a service goes on
    bus.signal_handler.handlers["SIGHUP"] = bus.exit if on_terminal() else bus.graceful
    bus.signal_handler.subscribe()
    stages.subscribe(bus)
    # a signal that came while the bus starts would end the process at once, with code 70
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    bus.start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    bus.block(interval=0.5)


def on_terminal() -> bool:
    """Whether a person started this in a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()
