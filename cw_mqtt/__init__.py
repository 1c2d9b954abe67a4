"""cw_mqtt: from CitizenWatt radio electricity sensors to MQTT, a database and HTTP."""

from importlib.metadata import version

__version__ = version("cw_mqtt")
