"""What of the publications depends on the installation's name. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cw_mqtt import __version__
from cw_mqtt.config.settings import MqttSettings, SensorSettings
from cw_mqtt.publish.discovery import Discovery, Style
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
        topics: Topics,
        sensors: Sequence[SensorSettings],
        *,
        night_prices: bool,
    ) -> "Identity":
        """The identity that these settings give to an installation."""
        style, prefix = mqtt.discovery.style, mqtt.discovery.prefix
        discovery = Discovery(installation, topics, prefix, __version__, night_prices)
        messages = discovery.messages(style, sensors)
        others = discovery.messages(OTHER_STYLE[style], sensors)
        retained = topics.retained([sensor.slug for sensor in sensors])
        return cls(
            tuple(messages),
            frozenset(message.topic for message in others),
            frozenset(retained | {message.topic for message in messages}),
        )
