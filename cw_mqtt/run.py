"""All stages plugged together, from the settings, on CherryPy's bus."""

import hashlib
import logging
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import cherrypy
from sqlalchemy import Engine

from cw_mqtt import __version__
from cw_mqtt.acquire.ports import make_receiver
from cw_mqtt.bridge.bridge import Bridge
from cw_mqtt.bridge.recovery import lift_total
from cw_mqtt.config.load import warnings
from cw_mqtt.config.settings import MqttSettings, Settings, WebSettings
from cw_mqtt.decode.packets import fingerprint
from cw_mqtt.errors import BridgeError
from cw_mqtt.journal.journal import Journal
from cw_mqtt.measure.tariff import Contract
from cw_mqtt.model import Event
from cw_mqtt.reload import SettingsWatch
from cw_mqtt.runtime.health import Health
from cw_mqtt.runtime.logs import set_up_logs
from cw_mqtt.runtime.stages import Service, Stage, Stages
from cw_mqtt.store.engine import make_engine
from cw_mqtt.store.schema import HEAD
from cw_mqtt.store.users import Accounts, Tokens
from cw_mqtt.store.web_queries import WebQueries
from cw_mqtt.store.writer import DatabaseWriter

if TYPE_CHECKING:
    from cw_mqtt.publish.publisher import MqttPublisher

log = logging.getLogger(__name__)

EVENTS_KEPT = 200
STAGES_EVERY_S = 1.0

# what to run next, None for nothing; a signal may put something in at any moment
Wishes = SimpleQueue[Settings | None]


def run(settings: Settings, folder: Path, watched: Path | None = None) -> None:
    """Run the bridge until a signal ends it; paths of ports are meant from `folder`.

    `watched` is the file of these settings. When it changes, all stages end in order and others
    begin in this same process: a new one would meet another folder, environment or modules.
    Raises `InUseError` when another process holds the journal, `ResourceAwayError` when
    `data_dir` cannot be used, `UsageError` for a port of no known kind; after that, nothing but
    a signal ends it.
    """
    wishes: Wishes = SimpleQueue()
    events: deque[Event] = deque(maxlen=EVENTS_KEPT)
    watch = SettingsWatch(watched, settings, events.append, wishes.put) if watched else None
    bus = prepare_bus(lambda: wishes.put(None))
    wish: Settings | None = settings
    before: Settings | None = None
    while wish:
        with ExitStack() as held:
            try:
                stages = make_stages(wish, folder, events, watch, partial(wishes.put, wish), held)
            except BridgeError as error:
                if not (watch and before):
                    raise
                watch.refuse(before, error)
                wish, before = before, None
                continue
            stages.subscribe(bus)
            bus.start()
            before, wish = wish, next_wish(wishes, stages)
            bus.stop()
            stages.unsubscribe(bus)
        while wish and not wishes.empty():  # who ends it meanwhile ends it for good
            wish = wishes.get()
    log.info("stopped")
    bus.exit()


def next_wish(wishes: Wishes, stages: Stages) -> Settings | None:
    """What to run next, once there is a wish; meanwhile somebody has to look at the stages."""
    while True:
        try:
            return wishes.get(timeout=STAGES_EVERY_S)
        except Empty:
            stages.look()


def config_hash(settings: Settings) -> str:
    """Tells settings apart without telling anything of them; secrets are not part of it."""
    return hashlib.sha256(settings.model_dump_json(warnings=False).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class _Parts:
    """What several stages work with."""

    settings: Settings
    health: Health
    journal: Journal
    engine: Engine
    events: deque[Event]
    bridge: Bridge
    writer: DatabaseWriter


def make_stages(
    settings: Settings,
    folder: Path,
    events: deque[Event],
    watch: SettingsWatch | None,
    restart: Callable[[], None],
    held: ExitStack,
) -> Stages:
    """A stage for all that the settings ask for, in the order in which they stop.

    What is to be closed after they have stopped is `held`. Raises as `run`.
    """
    set_up_logs(settings.logging)
    parts = _make_parts(settings, events, held)
    actions = {"restart": restart}
    if watch:
        actions["config/reload"] = watch.reload
    services: list[Service] = [
        *([_make_web(settings.web, parts)] if settings.web else []),
        *([watch] if watch else []),
        *_make_receivers(parts, folder),
        parts.bridge,
    ]
    if settings.mqtt:
        publisher = _make_publisher(settings.mqtt, parts, actions)
        services.append(held.enter_context(closing(publisher)))
    services.append(parts.writer)
    log_start(settings)
    return Stages([Stage(service, parts.health) for service in services])


def _make_parts(settings: Settings, events: deque[Event], held: ExitStack) -> _Parts:
    health = Health()
    health.show("timezone", value=str(settings.timezone))
    durable = settings.journal.durability == "full"
    journal = held.enter_context(closing(Journal(settings.data_dir, durable=durable)))
    engine = make_engine(settings.database, settings.data_dir)
    held.callback(engine.dispose)
    bridge = Bridge(settings, journal, health, events)
    writer = DatabaseWriter(engine, settings, journal, health, bridge.load)
    return _Parts(settings, health, journal, engine, events, bridge, writer)


def _make_receivers(parts: _Parts, folder: Path) -> Iterator[Service]:
    bridge, settings = parts.bridge, parts.settings
    for receiver in settings.receivers:
        of_use_s = partial(bridge.silence.of_use_s, receiver.name)
        yield make_receiver(
            receiver, folder, settings.sensors, bridge.receive, parts.health, of_use_s
        )


def log_start(settings: Settings) -> None:
    """Say what has begun, and what of the settings may not be meant so."""
    zone, count = settings.timezone, len(settings.sensors)
    log.info("cw-mqtt %s, %d sensors, time zone %s", __version__, count, zone)
    for sensor in settings.sensors:
        log.info("sensor %s: key %s", sensor.slug, fingerprint(sensor.key.get_secret_value()))
    for text in warnings(settings):
        log.warning("%s", text)


def _make_publisher(
    mqtt: MqttSettings, parts: _Parts, actions: Mapping[str, Callable[[], None]]
) -> "MqttPublisher":
    """The MQTT stage; imported here, since a bridge without a broker does not need it."""
    from cw_mqtt.publish.publication import Publication
    from cw_mqtt.publish.publisher import MqttPublisher

    settings, bridge = parts.settings, parts.bridge
    publication = Publication(
        mqtt,
        settings,
        journal=parts.journal,
        health=parts.health,
        events=parts.events,
        lift_total=partial(lift_total, parts.journal),
        knows_totals=lambda: bridge.knows_totals,
        bridge_info=lambda: {
            "started": parts.health.started,
            "database": "postgresql" if settings.database.url else "sqlite",
            "schema": HEAD,
            "config_hash": config_hash(settings),
            "warnings": warnings(settings),
        },
        actions=actions,
        clock=bridge.now,
    )
    return MqttPublisher(publication)


def _make_web(web: WebSettings, parts: _Parts) -> Service:
    """The web stage; imported here, since a bridge without the web does not need it."""
    from cw_mqtt.web.server import WebServer

    settings = parts.settings
    return WebServer(
        web,
        settings,
        journal=parts.journal,
        health=parts.health,
        queries=WebQueries(parts.engine, settings, flush=parts.writer.flush),
        is_night=Contract(settings).is_night,
        accounts=Accounts(parts.engine),
        tokens=Tokens(parts.engine),
        tell=parts.events.append,
        clock=parts.bridge.now,
    )


def prepare_bus(end: Callable[[], None]) -> Any:
    """CherryPy's bus, on which signals only call `end`, at whatever moment they come."""
    bus: Any = cherrypy.engine
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
        "SIGHUP": end if sys.stdin and sys.stdin.isatty() else bus.graceful,
    }
    bus.signal_handler.subscribe()
    return bus
