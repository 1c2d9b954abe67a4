import pytest

from cw_mqtt.runtime.condition import LONGEST_STEADY_S, MOST_SAID, STEADY_S, Condition
from cw_mqtt.runtime.health import Health


class Port:
    """The condition of a port, and a clock; `said` are the log lines."""

    def __init__(self, caplog, longest_pause_s=5.0):
        self.now_s = 1000.0
        self.health = Health()
        self.condition = Condition("port", self.health, longest_pause_s, lambda: self.now_s)
        self._caplog = caplog

    @property
    def state(self):
        return self.health.stages()["port"].state

    @property
    def said(self):
        return [record.getMessage() for record in self._caplog.records]

    def fail(self, reason="hung up"):
        self.condition.wrong(reason)
        self.now_s += self.condition.pause_s

    def work(self, seconds):
        for _ in range(seconds):
            self.condition.right()
            self.now_s += 1


@pytest.fixture
def port(caplog):
    return Port(caplog)


def test_what_comes_and_goes_all_day_takes_a_few_lines(port):
    for _ in range(500):
        port.work(90)
        port.fail()

    assert len(port.said) <= 6


def test_what_opens_and_closes_at_once_never_works(port):
    port.fail()
    for _ in range(100):
        port.work(1)
        assert port.state == "waiting"
        port.fail()

    assert port.said == ["port: hung up"]
    assert port.health.stages()["port"].faults == 101


def test_what_works_is_believed_after_a_second_and_said_after_a_minute(port):
    for _ in range(3):
        port.fail()
    port.work(1)
    assert port.state == "waiting"

    port.work(1)
    assert port.state == "working"
    assert port.said == ["port: hung up"]
    port.work(int(STEADY_S))

    assert port.said == ["port: hung up", "port: works again; faults: 3"]


def test_after_an_hour_in_order_a_minute_is_enough_again(port):
    for _ in range(3):
        port.fail()
        port.work(int(LONGEST_STEADY_S + 8 * STEADY_S))

    assert len(port.said) == 6


def test_each_reason_is_said_once_and_of_many_the_first_ten(port):
    for number in range(100):
        port.fail(f"reason {number % 50}")

    assert port.said == [f"port: reason {number}" for number in range(MOST_SAID)]


def test_pauses_grow_up_to_the_longest_and_until_it_has_worked_for_a_while(port):
    pauses_s = []
    for _ in range(5):
        port.fail()
        pauses_s.append(port.condition.pause_s)
        port.work(30)

    assert pauses_s == [1, 2, 5, 5, 5]
    port.work(int(STEADY_S))
    port.fail()
    assert port.condition.pause_s == 1


def test_a_fault_of_ours_is_an_error_with_its_traceback(port, caplog):
    error = ZeroDivisionError("ours")

    port.condition.wrong("internal error", error)

    assert [(r.levelname, r.exc_info[1]) for r in caplog.records] == [("ERROR", error)]
