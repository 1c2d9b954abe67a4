from collections import deque

from cw_mqtt.bridge.events import TOLD_AGAIN_S, Announcer
from cw_mqtt.model import Event


class Wakeup:
    """What of a journal an announcer needs."""

    def __init__(self):
        self.rung = 0

    def wake(self):
        self.rung += 1


def restart(ts, sensor="main"):
    return Event("sensor_rebooted", ts, sensor)


def test_what_happens_again_within_ten_minutes_is_said_once():
    wakeup, said = Wakeup(), deque()

    Announcer(wakeup, said).announce([restart(0), restart(9), restart(9, "attic")])

    assert [(event.sensor, event.ts) for event in said] == [("main", 0), ("attic", 9)]
    assert wakeup.rung == len(said)


def test_a_clock_set_back_mutes_nothing():
    said = deque()
    announcer = Announcer(Wakeup(), said)

    announcer.announce([restart(2 * TOLD_AGAIN_S), restart(TOLD_AGAIN_S / 2)])

    assert len(said) == 2
