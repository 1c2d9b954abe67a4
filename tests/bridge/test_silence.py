from cw_mqtt.bridge.silence import FEW_FRAMES, HELD_BACK_S, NO_USE_AFTER_S, SilenceWatch
from cw_mqtt.model import Chunk, SensorState
from cw_mqtt.runtime.health import Health
from tests.settings import settings

PAYLOAD = bytes(range(16))
TIMEOUT_S = 50
START_TS = 1_795_300_000.0


class Home:
    """A hall and a cellar with a receiver each, one sensor, and a clock.

    The sensor was last heard an hour before the bridge was started.
    """

    def __init__(self, folder):
        self.now_s = 0.0
        self.state_of_sensor = SensorState("main", seen_ts=START_TS - 3600)
        self.health = Health()
        receivers = [{"name": name, "port": "simulated:"} for name in ("hall", "cellar")]
        made = settings(folder, receivers=receivers)
        self.silence = SilenceWatch(made, self.health, lambda: self.now_s)

    def chunk(self, receiver="hall"):
        return Chunk(receiver, self.now_s, self.now_s, PAYLOAD, False)

    def later(self, seconds):
        self.now_s += seconds
        self.silence.look({"main": self.state_of_sensor}, START_TS + self.now_s)

    def hear(self):
        self.silence.proven("hall")
        self.state_of_sensor = SensorState("main", seen_ts=START_TS + self.now_s)

    def state(self, name):
        stage = self.health.stages().get(name)
        return (stage.state, stage.reason) if stage else None


def test_a_sensor_is_not_named_before_it_was_listened_to_for_long_enough(tmp_path, caplog):
    home = Home(tmp_path)

    home.later(TIMEOUT_S - 2)
    assert home.state("sensor main") is None
    home.later(4)
    assert "more than 49 s" in caplog.text


def test_a_silent_sensor_is_named_once_and_once_when_it_is_back(tmp_path, caplog):
    home = Home(tmp_path)

    home.later(TIMEOUT_S)
    home.later(60)

    state, reason = home.state("sensor main")
    assert state == "waiting"
    assert "more than 49 s, last heard at 2026-11-21T21:26:40Z: see its battery" in reason
    for _ in range(10):
        home.hear()
        home.later(8)
    assert home.state("sensor main") == ("working", None)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[1] == "sensor main: works again; faults: 1"


def test_a_receiver_that_hears_only_what_no_key_opens_is_told(tmp_path, caplog):
    home = Home(tmp_path)
    home.silence.useless("hall", FEW_FRAMES)

    home.later(NO_USE_AFTER_S + 1)

    state, reason = home.state("packets hall")
    assert state == "waiting"
    assert "/dev/serial/by-id" in reason
    assert home.state("packets cellar") is None


def test_a_neighbours_frames_are_no_trouble_while_ours_are_heard(tmp_path):
    home = Home(tmp_path)

    for count in range(100):
        home.silence.useless("hall", count)
        home.hear()
        home.later(8)

    assert home.health.stages() == {}


def test_what_another_receiver_hears_seconds_later_is_no_replay(tmp_path):
    home = Home(tmp_path)

    assert not home.silence.is_repeated(home.chunk("hall"), PAYLOAD)
    home.now_s += HELD_BACK_S
    assert home.silence.is_repeated(home.chunk("cellar"), PAYLOAD)
    assert not home.silence.is_repeated(home.chunk("hall"), PAYLOAD)
    home.now_s += 1
    assert not home.silence.is_repeated(home.chunk("cellar"), PAYLOAD)
