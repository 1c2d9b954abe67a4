import threading

import pytest

from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.runtime.health import Health
from cw_mqtt.runtime.stages import (
    LONGEST_STEADY_S,
    MOST_SAID,
    STEADY_S,
    STUCK_AFTER_S,
    Condition,
    Stage,
    Stages,
)
from tests.waiting import DEADLINE_S, wait_until


class Steps:
    """A service that does one step after the other each time that it is served."""

    longest_pause_s = 0.01
    when_stuck = "nothing moves"

    def __init__(self, *steps, name="steps"):
        self.name = name
        self.steps = list(steps)
        self.served = 0
        self.woken = threading.Event()

    def serve(self, stopping, works):
        self.served += 1
        step = self.steps.pop(0) if self.steps else None
        if isinstance(step, Exception):
            raise step
        works()
        while not self.woken.wait(0.01):
            works()

    def wake(self):
        self.woken.set()


class Deaf(Steps):
    """A service that does not hear that it should stop."""

    def wake(self):
        pass


def state_of(health, name="steps"):
    return health.stages()[name].state


@pytest.fixture
def health():
    return Health()


def test_a_service_that_raises_is_served_again_until_it_works(health, caplog):
    away = ResourceAwayError("the broker does not answer")
    service = Steps(away, away, away)
    stage = Stage(service, health)

    stage.start()

    wait_until(lambda: state_of(health) == "working")
    assert service.served == 4
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert said == [
        ("WARNING", "steps: the broker does not answer"),
    ]
    stage.ask_to_stop()
    assert stage.join(DEADLINE_S)


def test_while_it_waits_health_says_why(health, caplog):
    service = Steps(ResourceAwayError("no such port"))
    service.longest_pause_s = 60
    stage = Stage(service, health)

    stage.start()

    wait_until(lambda: state_of(health) == "waiting" and service.served)
    wait_until(lambda: health.stages()["steps"].reason == "no such port")
    stage.ask_to_stop()
    assert stage.join(DEADLINE_S)


def test_a_fault_of_ours_is_logged_with_its_traceback_and_survived(health, caplog):
    service = Steps(ZeroDivisionError("ours"))
    stage = Stage(service, health)

    stage.start()

    wait_until(lambda: state_of(health) == "working")
    fault = next(record for record in caplog.records if record.levelname == "ERROR")
    assert fault.exc_info
    stage.ask_to_stop()
    assert stage.join(DEADLINE_S)


def test_a_stuck_service_is_named_though_its_thread_cannot_speak(health, caplog):
    now_s = [100.0]
    service = Steps()
    service.serve = lambda stopping, works: (works(), service.woken.wait())
    stage = Stage(service, health, lambda: now_s[0])
    stage.start()
    wait_until(lambda: state_of(health) == "working")

    now_s[0] += STUCK_AFTER_S
    stage.look()
    assert state_of(health) == "working"
    now_s[0] += 0.1
    stage.look()
    stage.look()

    assert state_of(health) == "waiting"
    assert [record.getMessage() for record in caplog.records] == ["steps: nothing moves"]
    stage.ask_to_stop()
    assert stage.join(DEADLINE_S)


def test_a_service_that_still_opens_its_resource_is_not_stuck(health):
    now_s = [100.0]
    service = Steps()
    service.serve = lambda stopping, works: service.woken.wait()
    stage = Stage(service, health, lambda: now_s[0])
    stage.start()

    now_s[0] += 3600
    stage.look()

    assert health.stages()["steps"].reason == "starting"
    stage.ask_to_stop()
    assert stage.join(DEADLINE_S)


def test_a_service_that_ends_by_itself_says_so(health):
    service = Steps()
    service.serve = lambda stopping, works: works()
    stage = Stage(service, health)

    stage.start()

    assert stage.join(DEADLINE_S)
    assert health.stages()["steps"].reason == "has finished"


def test_stages_start_from_the_end_of_the_path_and_stop_from_its_beginning(health):
    order = []

    class Noting(Steps):
        def serve(self, stopping, works):
            order.append(f"{self.name} starts")
            works()
            self.woken.wait()
            order.append(f"{self.name} stops")

    names = ("first", "second")
    stages = Stages([Stage(Noting(name=name), health) for name in names])

    stages.start()
    wait_until(lambda: len(order) == 2)
    stages.stop()

    assert order[2:] == ["first stops", "second stops"]
    assert {stage.state for stage in health.stages().values()} == {"stopped"}


def test_a_stage_that_does_not_end_is_left_behind_and_named(health, caplog):
    stages = Stages([Stage(Deaf(), health)], stop_within_s=0.05)

    stages.start()
    wait_until(lambda: state_of(health) == "working")
    stages.stop()

    assert "steps did not stop in time" in caplog.text
    stages._stages[0].service.woken.set()


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
