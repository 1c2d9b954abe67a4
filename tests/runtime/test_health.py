from cw_mqtt.model import iso_utc
from cw_mqtt.runtime.health import Health
from tests.clock import Computer


def test_the_report_has_every_figure_in_its_place():
    health = Health(clock=lambda: 1_795_300_000, steady=lambda: 0.0)

    health.count("receivers", "hall", "bytes", by=16)
    health.count("receivers", "hall", "bytes")
    health.show("database", "kind", value="sqlite")
    health.ask("journal", "queue", answer=lambda: 3)

    report = health.report()
    assert report["receivers"] == {"hall": {"bytes": 17}}
    assert report["database"] == {"kind": "sqlite"}
    assert report["journal"] == {"queue": 3}
    assert report["rss_mb"] > 5


def test_one_waiting_stage_makes_it_degraded():
    health = Health(clock=lambda: 1_795_300_000, steady=lambda: 0.0)
    health.working("bridge")
    assert health.report()["status"] == "ok"

    health.waiting("mqtt", "no broker at localhost:1883", 3)

    report = health.report()
    assert report["status"] == "degraded"
    assert report["stages"]["mqtt"] == {
        "state": "waiting",
        "since": "2026-11-21T22:26:40Z",
        "reason": "no broker at localhost:1883",
        "faults": 3,
    }


def test_a_state_says_since_when_it_holds_whatever_its_reason():
    computer = Computer(now_ts=100.0)
    health = Health(computer.wall_ts, computer.clocks().steady)
    health.waiting("mqtt", "refused")

    computer.wait(100)
    health.waiting("mqtt", "no route")

    assert health.stages()["mqtt"].since_ts == 100.0
    assert health.stages()["mqtt"].reason == "no route"


def test_since_when_something_holds_is_right_once_the_clock_is():
    computer = Computer(now_ts=1_795_300_000, ahead_s=-3600)
    health = Health(computer.wall_ts, computer.clocks().steady)
    health.working("mqtt")

    computer.wait(20)
    computer.set_right()

    report = health.report()
    assert report["started"] == report["stages"]["mqtt"]["since"] == "2026-11-21T22:26:40Z"


def test_an_instant_is_written_in_utc():
    assert iso_utc(0.9) == "1970-01-01T00:00:00Z"
