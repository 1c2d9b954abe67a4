import pytest

from cw_mqtt.publish.bridge_status import BridgeStatus
from cw_mqtt.runtime.health import StageHealth

HALL = "receiver hall"


def report(packets: int = 0, **states: str) -> dict[str, object]:
    """A health report: one sensor, and receivers in these states."""
    stages = {f"receiver {name}": {"state": state} for name, state in states.items()}
    return {"stages": stages, "sensors": {"main": {"heard": {"verified": packets, "held": 99}}}}


def test_proven_packets_are_counted_per_minute() -> None:
    vitals = BridgeStatus()

    rates = [
        vitals.summary(report(packets), now_s)["packets_per_minute"]
        for packets, now_s in ((10, 100), (11, 101), (17, 160), (17, 220))
    ]

    assert rates == [None, None, 7.0, 0.0]


@pytest.mark.parametrize(
    ("states", "word"),
    [
        ({"hall": "working", "attic": "working"}, "online"),
        ({"hall": "working", "attic": "waiting"}, "offline"),
    ],
)
def test_the_receiver_is_online_when_all_are(states: dict[str, str], word: str) -> None:
    assert BridgeStatus().summary(report(**states), 0)["receiver"] == word


def test_a_receiver_that_is_lost_and_comes_back_is_told_once_each() -> None:
    vitals = BridgeStatus()
    works = {HALL: StageHealth("working", 0), "mqtt": StageHealth("working", 0)}
    lost = {HALL: StageHealth("waiting", 0, "no such port"), "mqtt": StageHealth("waiting", 0)}

    told = [list(vitals.events(stages, 5)) for stages in (works, lost, lost, works, works)]

    assert [[event.type for event in events] for events in told] == [
        [],
        ["receiver_lost"],
        [],
        ["receiver_back"],
        [],
    ]
    assert told[1][0].text == "receiver hall: no such port"


def test_a_receiver_that_never_worked_is_not_lost() -> None:
    starting = {HALL: StageHealth("waiting", 0, "starting")}

    assert not list(BridgeStatus().events(starting, 5))
