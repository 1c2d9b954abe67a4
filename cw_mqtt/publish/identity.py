"""What of the publications depends on the installation's name. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from cw_mqtt import __version__
from cw_mqtt.config.settings import MqttSettings, Settings
from cw_mqtt.measure.tariff import Contract
from cw_mqtt.publish.discovery import Style, discovery_messages
from cw_mqtt.publish.entities import Entities
from cw_mqtt.publish.topics import Message, Topics

OTHER_STYLE: Mapping[Style, Style] = {"device": "entity", "entity": "device", "none": "none"}


@dataclass(frozen=True, slots=True)
class Identity:
    """What depends on the installation: discovery, and every topic that is retained.

    `handed_over` are the topics of the other style of discovery.
    """

    discovery: tuple[Message, ...]
    handed_over: frozenset[str]
    retained: frozenset[str]

    @classmethod
    def of(
        cls,
        installation: str,
        mqtt: MqttSettings,
        settings: Settings,
        counted: Collection[str] = (),
    ) -> "Identity":
        """The identity that these settings give to an installation.

        `counted` are the tariffs in which energy was ever counted.
        """
        topics = Topics(mqtt.base_topic)
        restart = "restart" in mqtt.allow_requests
        contract = Contract(settings)
        entities = Entities(installation, topics, __version__, contract, counted, restart)
        # the bridge first, for the sensors refer to it
        devices = [entities.bridge(), *map(entities.sensor, settings.sensors)]
        style, prefix = mqtt.discovery.style, mqtt.discovery.prefix
        messages = discovery_messages(prefix, style, devices)
        others = discovery_messages(prefix, OTHER_STYLE[style], devices)
        retained = topics.retained([sensor.slug for sensor in settings.sensors])
        return cls(
            tuple(messages),
            frozenset(message.topic for message in others),
            frozenset(retained | {message.topic for message in messages}),
        )
