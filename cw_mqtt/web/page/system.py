"""The system: sensors, receivers, broker, database, journal, settings, and the end of the log."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.runtime.logs import recent_lines
from cw_mqtt.web.page.house import House
from cw_mqtt.web.page.language import Language
from cw_mqtt.web.page.now import UNKNOWN, pill_of
from cw_mqtt.web.page.rendering import Visit, render

PARTS = {"mqtt": "broker", "bridge": "program", "settings": "settings_file"}
LOG_LINES = 40


def system_page(house: House, visit: Visit) -> str:
    """What each part does, for people and in their words; texts of the log are English."""
    t = visit.t
    report = house.health.report()
    return render(
        "system.html",
        t,
        t("system"),
        here="system",
        pill=pill_of(house, t),
        is_demo=house.is_demo,
        logged_in=visit.logged_in,
        sensors=[_sensor(house, sensor, report, t) for sensor in house.settings.sensors],
        parts=list(_parts(house, t)),
        unopened=_unopened(report, t),
        figures=list(_figures(house, report, t)),
        lines=recent_lines(LOG_LINES),
    )


def _sensor(
    house: House, sensor: SensorSettings, report: Mapping[str, Any], t: Language
) -> Mapping[str, Any]:
    """One sensor: when it was heard, how well, its battery, its total."""
    state, now_ts = house.state(sensor), house.clock()
    told = report.get("sensors", {}).get(sensor.slug, {})
    counts = {str(verdict): count for verdict, count in state.verdicts.items()}
    rows = [
        (t("last_heard"), t("ago", ago=t.ago(now_ts - state.seen_ts)) if state.seen_ts else ""),
        (t("reception"), _reception(counts, told.get("loss", 0.0), t)),
        (t("battery"), _battery(state.latest.battery_mv, t) if state.latest else ""),
        (
            t("total"),
            t("kwh", value=t.number(state.energy.total_kwh, 2))
            if state.energy.loaded
            else t("after_database"),
        ),
        (t("left_out"), _left_out(counts, told.get("held", 0), t)),
    ]
    if correction := report.get("corrections", {}).get(sensor.slug):
        rows.append((t("corrections"), t("kwh", value=t.number(correction, 3))))
    if house.settings.mqtt:
        rows.append(("MQTT", f"{house.settings.mqtt.base_topic}/{sensor.slug}/state"))
    return {
        "name": sensor.name,
        "is_silent": house.is_silent(sensor, now_ts),
        "rows": [(name, value or UNKNOWN) for name, value in rows],
    }


def _reception(counts: Mapping[str, int], loss: float, t: Language) -> str:
    """How much of what was sent has arrived; empty before anything has."""
    heard = sum(counts.get(name, 0) for name in ("verified", "confirmed", "settling"))
    if not heard:
        return ""
    sent = round(heard / (1 - loss)) if loss < 1 else heard
    word = "good" if loss < 0.05 else "fair" if loss < 0.2 else "poor"
    return t("received", word=t(f"reception_{word}"), heard=t.number(heard), sent=t.number(sent))


def _battery(millivolts: int, t: Language) -> str:
    return f"{t.number(millivolts / 1000, 2)} V" if millivolts else ""


def _left_out(counts: Mapping[str, int], held: int, t: Language) -> str:
    """What was heard and is no measure, in words."""
    names = ("settling", "held", "unverified", "duplicate", "replayed", "foreign", "undated")
    found = {**counts, "held": held}
    return ", ".join(
        f"{t.number(found[name])} {t('verdict_' + name)}" for name in names if found.get(name)
    )


def _parts(house: House, t: Language) -> Sequence[tuple[str, str, str, str, str]]:
    """Each part: its name, state, since when, its reason in English, and its colour."""
    now = datetime.fromtimestamp(house.clock(), house.zone)
    rows = []
    for name, stage in house.health.stages().items():
        first, _, rest = name.partition(" ")
        key = f"part_{PARTS.get(first, first)}"
        since = datetime.fromtimestamp(stage.since_ts, house.zone)
        is_refused = name == "settings" and stage.state == "waiting"
        tone = {"working": "good", "waiting": "bad"}.get(stage.state, "wait")
        rows.append(
            (
                f"{t(key)} {rest}".strip(),
                t("state_refused" if is_refused else f"state_{stage.state}"),
                t("since", time=t.moment(since, now)),
                stage.reason or "",
                tone,
            )
        )
    return rows


def _unopened(report: Mapping[str, Any], t: Language) -> str:
    """What no key opens; empty for nothing."""
    receivers = report.get("receivers", {})
    count = sum(int(each.get("undecryptable", 0)) for each in receivers.values())
    return t("unopened", n=t.number(count)) if count else ""


def _figures(house: House, report: Mapping[str, Any], t: Language) -> Sequence[tuple[str, str]]:
    """Where things are, and how full."""
    database, journal = report.get("database", {}), report.get("journal", {})
    return [
        (t("database"), str(database.get("place", UNKNOWN))),
        (t("unstored"), t.number(int(journal.get("unstored") or 0))),
        (t("time_zone"), str(house.zone)),
        (t("memory"), f"{t.number(float(report['rss_mb']))} MB"),
        (t("version"), str(report["version"])),
        (t("running_since"), str(report["started"])),
    ]
