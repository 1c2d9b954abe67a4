"""What is used at this moment, and why when that is not known."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from cw_mqtt.config.settings import SensorSettings
from cw_mqtt.model import NOMINAL_INTERVAL_S
from cw_mqtt.web.page.house import House
from cw_mqtt.web.page.language import Language

NEAR, FULL = 0.9, 1.0  # of the subscribed power
LOOK_AHEAD_S = 8 * 86400
LOOK_FOR_FIRST_S = 2.0
LOOK_FOR_SILENT_S = 5.0
UNKNOWN = "\N{EN DASH}"
SOON_S = 0.5  # how long after a packet is due it may be here


@dataclass(frozen=True, slots=True)
class Gauge:
    """The share of the subscribed power, in percent, with its words."""

    share: float
    tone: str
    words: str


@dataclass(frozen=True, slots=True)
class Now:
    """The figure at the top; empty texts are not shown. `step` is that of the first run."""

    power: str
    age: str
    ageing: str
    age_s: float
    cost: str
    rate: str
    why: str
    is_stale: bool
    next_s: float
    step: int
    pill: str
    tone: str


@dataclass(frozen=True, slots=True)
class Pill:
    """The state of everything in a few words; `tone` is good, wait or bad."""

    tone: str
    words: str


def now_of(house: House, sensor: SensorSettings, t: Language) -> Now:
    """The figure of one sensor, from what is committed in the journal."""
    now_ts = house.clock()
    state, is_silent = house.state(sensor), house.is_silent(sensor, now_ts)
    latest = state.latest
    pill = pill_of(house, t)
    if not latest:
        return Now(
            power=UNKNOWN,
            age=t("no_value_yet"),
            ageing="",
            age_s=0,
            cost="",
            rate="",
            why="",
            is_stale=True,
            next_s=LOOK_FOR_FIRST_S,
            step=first_step(house),
            pill=pill.words,
            tone=pill.tone,
        )
    age_s = max(0.0, now_ts - (state.seen_ts or latest.ts))
    interval_s = state.chain.interval_s or NOMINAL_INTERVAL_S
    cost, rate = ("", "") if is_silent else price_of(house, latest.power_w, int(now_ts), t)
    return Now(
        power=t.watts(latest.power_w),
        age=t("last_value_ago" if is_silent else "measured_ago", ago=t.ago(age_s)),
        ageing=t("measured_ago", ago=t("seconds", n="%")),
        age_s=round(age_s, 1),
        cost=cost,
        rate=rate,
        why=reason(house, sensor, t) if is_silent else "",
        is_stale=is_silent,
        next_s=round(max(SOON_S, interval_s - age_s + SOON_S), 1)
        if not is_silent
        else LOOK_FOR_SILENT_S,
        step=4,
        pill=pill.words,
        tone=pill.tone,
    )


def live(house: House, sensor: SensorSettings, t: Language) -> str:
    """The same as JSON, for the page that is open."""
    return json.dumps(asdict(now_of(house, sensor, t)))


def price_of(house: House, power_w: float, ts: int, t: Language) -> tuple[str, str]:
    """What an hour at this power costs, and until when at this price."""
    contract = house.contract
    if not contract.currency:
        return "", ""
    changes = contract.changes(ts, ts + LOOK_AHEAD_S)
    _, tariff = next(changes)
    eur = t.money(power_w / 1000 * tariff.eur_per_kwh, contract.currency)
    cost = t("you_produce") if power_w < 0 else t("per_hour", cost=eur)
    if not contract.tariffs:
        return cost, ""
    until_ts = next((start for start, _ in changes), None)
    rate = t.rate(tariff.name)
    if until_ts is None:
        return cost, rate
    at = datetime.fromtimestamp(until_ts, house.zone)
    return cost, t("rate_until", rate=rate[:1].lower() + rate[1:], time=t.time(at))


def gauge_of(house: House, power_w: float, t: Language) -> Gauge | None:
    """How much of the subscribed power is used; None when that is not known."""
    threshold_w = house.contract.threshold_w(int(house.clock()))
    if not threshold_w:
        return None
    share = max(0.0, power_w / threshold_w)
    tone = "over" if share >= FULL else "near" if share >= NEAR else "fine"
    words = t("of_subscribed", percent=t.percent(share), kva=kva(threshold_w, t))
    return Gauge(round(100 * min(1.0, share), 1), tone, words)


def kva(threshold_w: float, t: Language) -> str:
    """A subscribed power as people say it: 6 or 4.5."""
    return t.number(threshold_w / 1000, 0 if threshold_w % 1000 == 0 else 1)


def pill_of(house: House, t: Language) -> Pill:
    """Sensors first, then the parts of the program."""
    now_ts = house.clock()
    sensors = house.settings.sensors
    silent = [sensor for sensor in sensors if house.is_silent(sensor, now_ts)]
    stages = house.health.stages()
    wrong = [name for name, stage in stages.items() if stage.state != "working"]
    if unopened := _unopened(house):
        return Pill("bad", t("pill_no_key", n=t.number(unopened)))
    if len(silent) == len(sensors) and not any(house.state(s).latest for s in sensors):
        return Pill("wait", t("pill_waiting"))
    if silent:
        names = ", ".join(sensor.name for sensor in silent[:2])
        return Pill("bad", t("pill_silent", name=names))
    parts = [name for name in wrong if not name.startswith("sensor ")]
    if parts:
        return Pill("bad", t("pill_things", n=len(parts)) if parts[1:] else t("pill_thing"))
    return Pill("good", t("pill_good"))


def reason(house: House, sensor: SensorSettings, t: Language) -> str:
    """Why a sensor that was heard is not heard any more, and what to do."""
    stages = house.health.stages()
    seen_ts = house.state(sensor).seen_ts
    at = datetime.fromtimestamp(seen_ts, house.zone) if seen_ts else None
    since = t.moment(at, datetime.fromtimestamp(house.clock(), house.zone)) if at else ""
    waiting = [n for n, s in stages.items() if n.startswith("receiver ") and s.state != "working"]
    return t("why_receiver" if waiting else "why_silent", time=since)


def first_step(house: House) -> int:
    """How many of the four steps to the first measure are done."""
    if any(state.latest for state in house.journal.states().values()):
        return 4
    report = house.health.report()
    heard = [_heard(sensor) for sensor in report.get("sensors", {}).values()]
    if any(heard):
        return 3
    receivers = [s for n, s in house.health.stages().items() if n.startswith("receiver ")]
    if _unopened(house) or any(_frames(r) for r in report.get("receivers", {}).values()):
        return 2
    return 1 if any(stage.state == "working" for stage in receivers) else 0


def _heard(sensor: object) -> int:
    if not isinstance(sensor, dict):
        return 0
    return int(sensor.get("held", 0)) + int(sum(sensor.get("heard", {}).values()))


def _frames(receiver: object) -> int:
    return int(receiver.get("undecryptable", 0)) if isinstance(receiver, dict) else 0


def _unopened(house: House) -> int:
    """How many packets no key opened, while no sensor was ever heard."""
    if any(house.state(sensor).seen_ts for sensor in house.settings.sensors):
        return 0
    return sum(_frames(each) for each in house.health.report().get("receivers", {}).values())
