"""The status page: what each sensor and each stage does now."""

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cw_mqtt import __version__
from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.journal.journal import Journal
from cw_mqtt.model import SensorState, is_silent, iso_utc
from cw_mqtt.runtime.health import Health
from cw_mqtt.web.access import base_path

FOLDER = Path(__file__).parent
KEPT_BY_BROWSERS = ("status.css", "status.js")
THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"
AGES_S = ((86400, "days"), (3600, "h"), (60, "min"), (1, "s"))


def grouped(number: float, decimals: int = 0) -> str:
    """A number as people read it in any country: thousands apart, such as `12 345.68`."""
    return f"{number:,.{decimals}f}".replace(",", THIN_SPACE)


def age(seconds: float) -> str:
    """How long ago, in one unit, such as `8 s`; never negative."""
    for unit_s, unit in AGES_S:
        if seconds >= 2 * unit_s:
            return f"{int(seconds // unit_s)} {unit}"
    return f"{max(0, int(seconds))} s"


def mark() -> str:
    """What changes with the files that browsers keep; tells a stranger no version."""
    return f"{zlib.crc32(b''.join((FOLDER / file).read_bytes() for file in KEPT_BY_BROWSERS)):x}"


PARTS = {"bridge": "Program", "settings": "Settings file"}  # stages by the words of their owner


def part(stage: str) -> str:
    """What the page calls a stage."""
    return PARTS.get(stage, stage)


TEMPLATES = Environment(
    loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
TEMPLATES.filters |= {"grouped": grouped, "age": age, "part": part, "iso_utc": iso_utc}
TEMPLATES.globals |= {"version": __version__, "mark": mark(), "base": base_path}


class StatusPage:
    """Renders the page from the journal's committed states and what the stages say.

    `base_topic` is where sensors are published on MQTT, None when they are not.
    """

    def __init__(
        self,
        sensors: Sequence[SensorSettings],
        journal: Journal,
        health: Health,
        base_topic: str | None,
        clock: Callable[[], float],
    ) -> None:
        self._sensors = sensors
        self._journal = journal
        self._health = health
        self._base_topic = base_topic
        self._clock = clock

    def html(self, logged_in: str | None) -> str:
        """The page as of now, with a button to log out whoever is logged in."""
        now_ts = self._clock()
        states = self._journal.states()
        known = [(s, states.get(s.slug, SensorState(s.slug))) for s in self._sensors]
        sensors = [
            (sensor, state, is_silent(state, sensor.availability_timeout_s, now_ts))
            for sensor, state in known
        ]
        stages = self._health.stages()
        return TEMPLATES.get_template("status.html").render(
            now_ts=now_ts,
            sensors=sensors,
            stages=stages,
            idle=[name for name, stage in stages.items() if stage.state != "working"],
            base_topic=self._base_topic,
            corrections=self._health.report().get("corrections", {}),
            logged_in=logged_in,
        )
