"""A board whose clock is wrong, up to the database."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cw_mqtt.bridge.bridge import Bridge
from cw_mqtt.bridge.clock_guard import RELEASE_TS, TRUSTED_AFTER_S, shifted
from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.journal.journal import Journal
from cw_mqtt.model import Chain, Heard, Packet, SensorState
from cw_mqtt.runtime.health import Health
from cw_mqtt.simulate.firmware import SensorFirmware
from tests.clock import Computer
from tests.home import Home
from tests.packets import KEY
from tests.store.test_rollups import assert_right

HOUR_S, DAY_S = 3600.0, 86400.0
YEAR_S = 365 * DAY_S
NOW_TS = RELEASE_TS + 1_000_000.5


class Board(Home):
    """A home with one sensor, each of whose packets tells another power.

    `sent` is the right time of each power; `before_boot` counts those before the last boot.
    """

    def __init__(
        self, folder: Path, ahead_s: float = 0.0, *, synchronised: bool = False, **changes: Any
    ) -> None:
        super().__init__(folder, **changes)
        self.computer = Computer(NOW_TS, ahead_s, synchronised)
        self.sent: dict[float, float] = {}
        self.before_boot = 0
        self.totals_kwh = [0.0]
        self._firmware = SensorFirmware(KEY, Random(1))
        self._timer_ms = 1_000_000
        self.begin()

    def begin(self) -> None:
        """Start the bridge, once more if it runs."""
        self.journal.close()
        self.journal, self.health = Journal(self.folder, durable=False), Health()
        clocks = self.computer.clocks()
        self.bridge = Bridge(self.settings, self.journal, self.health, self.events, clocks)
        self.store()

    def load(self, known: Mapping[str, SensorState], seq: int) -> None:
        self.bridge.load(known, seq)

    def store(self) -> None:
        self.now_ts = self.computer.wall_ts()
        super().store()

    def hear(self, packets: int = 1, every_s: float = 8.0) -> None:
        for _ in range(packets):
            self.computer.wait(every_s)
            self.bridge.process([self.computer.chunk(self.send())])
            self.totals_kwh.append(self.state.energy.total_kwh)

    def send(self) -> bytes:
        power_w = 100 + len(self.sent)
        self.sent[float(power_w)] = self.computer.now_ts
        self._timer_ms += 700
        return self._firmware.send(power_w, 3300, self._timer_ms)

    @property
    def state(self) -> SensorState:
        return self.journal.states()["main"]

    def times(self) -> dict[float, int]:
        """The time of each power in the database, once all is stored."""
        self.store()
        while self.health.report()["journal"]["unstored"]:
            self.store()
        rows = self.ask("SELECT value, timestamp FROM measures ORDER BY id")
        assert len({power_w for power_w, _ in rows}) == len(rows), "stored twice"
        return dict(rows)

    def errors_s(self) -> list[float]:
        """How far each stored time is from the right one, rounded to ten seconds."""
        return [round(ts - self.sent[power_w], -1) for power_w, ts in self.times().items()]


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """A board without a battery-backed clock: it goes on where it was when it was stopped."""
    board = Board(tmp_path, ahead_s=-3 * HOUR_S)
    yield board
    board.close()


@pytest.mark.parametrize("stored_before", [False, True])
def test_what_came_before_the_network_told_the_time_is_dated_right(
    board: Board, stored_before: bool, caplog: pytest.LogCaptureFixture
) -> None:
    board.hear(12)
    if stored_before:
        assert set(board.errors_s()) == {-10_800}

    board.computer.set_right()
    board.hear(12)

    assert board.errors_s() == [0] * 24
    assert_right(board)
    assert board.state.energy.tariffs_j["day"] == sum(8.0 * (100.5 + n) for n in range(23))
    assert "the clock was set by +10800 s; 12 readings got corrected times" in caplog.text


def test_power_and_energy_go_on_while_the_clock_is_wrong(board: Board) -> None:
    board.hear(12)

    assert board.state.latest
    assert board.state.latest.power_w == 111
    assert board.totals_kwh == sorted(board.totals_kwh)
    assert board.totals_kwh[-1] > 0


@pytest.mark.parametrize("wrong_s", [-YEAR_S, -3 * HOUR_S, -50.0, 50.0, 3 * YEAR_S])
@pytest.mark.parametrize("synchronised", [True, False])
def test_a_day_with_a_wrong_clock_is_dated_anew(
    board: Board, wrong_s: float, synchronised: bool, caplog: pytest.LogCaptureFixture
) -> None:
    board.computer.ahead_s = wrong_s
    board.hear(144, every_s=600)
    board.times()

    board.computer.set_right(synchronised=synchronised)
    board.hear(3)

    assert board.errors_s() == [0] * 147


def test_without_any_network_the_clock_is_believed(board: Board) -> None:
    board.computer.ahead_s = 0.0

    board.hear(600, every_s=600)

    assert board.errors_s() == [0] * 600
    assert board.journal.era
    assert board.journal.era.confirmed


def test_a_clock_that_was_right_for_days_changes_no_time_when_it_is_set(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    board.computer.ahead_s = 0.0
    board.hear(300, every_s=600)

    board.computer.ahead_s = 3 * YEAR_S
    board.hear(5)
    wrong = board.errors_s()
    board.computer.ahead_s = 0.0
    board.hear(5)

    assert wrong == [0] * 300 + [3 * YEAR_S] * 5
    assert board.errors_s() == [0] * 310
    assert_right(board)


def test_a_confirmed_clock_that_is_set_changes_no_time_of_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    board = Board(tmp_path, synchronised=True)
    board.hear(5)

    board.computer.ahead_s = HOUR_S
    board.hear(5)

    assert board.errors_s() == [0] * 5 + [HOUR_S // 10 * 10] * 5
    board.close()


def test_it_is_dated_anew_after_a_restart_of_the_bridge_too(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    board.hear(5)
    board.begin()
    board.hear(5)

    board.computer.set_right()
    board.begin()
    board.hear(5)

    assert board.errors_s() == [0] * 15


def test_a_suspended_computer_has_not_set_its_clock(board: Board) -> None:
    board.computer.set_right(synchronised=False)
    board.hear(5)

    board.computer.wait(3 * HOUR_S)
    board.hear(5)

    assert board.errors_s() == [0] * 10


def test_a_clock_that_is_slewed_is_not_set(board: Board) -> None:
    board.computer.ahead_s = 1.5
    for _ in range(20):
        board.hear()
        board.computer.ahead_s -= 0.075

    assert set(board.errors_s()) == {0}


def test_what_never_had_a_time_is_set_aside_and_counted(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    board.computer.ahead_s = -NOW_TS
    board.hear(5)
    assert len(board.times()) == 5

    board.computer.reboot(ahead_s=0.0)
    board.begin()
    board.hear(5)

    assert board.errors_s() == [0] * 5
    assert board.ask("SELECT reason FROM set_aside") == [("undated",)] * 5
    assert board.health.report()["clock"]["undated"] == 5
    assert "the clock was never set while 5 readings arrived" in caplog.text


def test_a_clock_that_cannot_be_right_is_said(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    board.computer.ahead_s = -NOW_TS

    board.hear(2)

    assert caplog.text.count("the clock is wrong") == 1
    assert board.health.report()["clock"] == {"synchronised": False}


def test_the_sensor_stays_online_when_the_clock_is_set(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    board.hear(5)
    seen_s_ago = []
    for right in (False, True):
        if right:
            board.computer.set_right()
        seen_s_ago.append(board.bridge.now() - (board.state.seen_ts or 0))
    board.hear()
    seen_s_ago.append(board.bridge.now() - (board.state.seen_ts or 0))

    assert seen_s_ago == pytest.approx([0, 0, 0])
    assert board.bridge.now() == pytest.approx(board.computer.now_ts)
    assert board.state.chain.intervals_s == pytest.approx([8.0] * 5)


def test_when_nothing_is_heard_any_more_it_is_what_the_clock_says(board: Board) -> None:
    board.hear(2)

    board.computer.set_right()
    board.computer.wait(60)

    assert board.bridge.now() == board.computer.now_ts


def test_whatever_a_clock_ahead_left_behind_is_corrected_by_the_next_packet(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    board.computer.ahead_s = 3 * YEAR_S
    board.hear(5)

    board.computer.reboot(ahead_s=0.0)
    board.begin()
    board.hear(3)

    state, now_ts = board.state, board.computer.now_ts
    assert state.seen_ts == pytest.approx(now_ts)
    assert state.latest
    assert state.latest.ts == state.energy.last_ts == int(now_ts)
    assert board.errors_s() == [3 * YEAR_S] * 5 + [0] * 3


def test_of_two_receivers_the_one_that_read_before_the_clock_was_set_comes_later(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    board.hear(4)
    board.computer.wait(8)
    early = board.computer.chunk(board.send())
    board.computer.wait(1)
    board.computer.set_right()

    board.bridge.process([board.computer.chunk(b"")])
    board.bridge.process([early])
    board.hear()

    assert board.errors_s() == [0] * 6
    assert caplog.text.count("was set") == 1


def test_while_the_disk_refuses_the_clock_is_followed_later(
    board: Board, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    board.hear(5)
    board.computer.set_right()
    commit = board.journal.commit

    def refuse(*_: object) -> None:
        raise ResourceAwayError("disk full")

    for name in ("commit", "begin_era"):
        monkeypatch.setattr(board.journal, name, refuse)
    for _ in range(3):
        with pytest.raises(ResourceAwayError):
            board.hear()
    monkeypatch.undo()
    assert commit == board.journal.commit
    board.hear(3)

    assert board.errors_s() == [0] * 11


@pytest.mark.parametrize("now_ts", [2.0**31 + 5, 2.0**32 + 5, 2**63 // 10**9 - 100.0])
def test_no_year_that_a_computer_can_show_stops_the_bridge(board: Board, now_ts: float) -> None:
    board.computer.now_ts = now_ts
    board.computer.ahead_s = 0.0

    board.hear(5)

    assert board.errors_s() == [0] * 5
    assert board.health.report()["sensors"]["main"]["last_seen"]


def test_only_instants_of_the_time_between_are_moved() -> None:
    packet = Packet(1, 240, 3300, 1000, bytes(6), bytes(16))
    chain = Chain(Heard(packet, 150.5), since_ts=99.0)
    state = SensorState("main", chain, seen_ts=150.5)

    moved = shifted(state, 1000.0, 120.0, 200.0)

    assert moved == replace(
        state,
        chain=Chain(Heard(packet, 1150.5), since_ts=99.0),
        seen_ts=1150.5,
    )


ACTS = st.one_of(
    st.tuples(st.just("hear"), st.integers(1, 4)),
    st.tuples(st.just("wait"), st.sampled_from([100.0, HOUR_S, 7 * HOUR_S, DAY_S, 3 * DAY_S])),
    st.tuples(
        st.just("set"), st.sampled_from([-NOW_TS, -YEAR_S, -HOUR_S, -50.0, 50.0, DAY_S, 3 * YEAR_S])
    ),
    st.tuples(st.just("restart"), st.just(0)),
    st.tuples(st.just("reboot"), st.sampled_from([-NOW_TS, -HOUR_S, 0.0, 3 * YEAR_S])),
    st.tuples(st.just("store"), st.just(0)),
)


def act(board: Board, kind: str, number: float) -> None:
    if kind == "hear":
        board.hear(int(number))
    elif kind == "wait":
        board.computer.wait(number)
    elif kind == "set":
        board.computer.ahead_s = number
    elif kind == "store":
        board.store()
    else:
        if kind == "reboot":
            board.computer.reboot(number)
            board.before_boot = len(board.sent)
        board.begin()


@given(acts=st.lists(ACTS, max_size=10))
def test_whatever_the_clock_did_a_right_one_finds_everything(
    caplog: pytest.LogCaptureFixture, acts: list[tuple[str, float]]
) -> None:
    with TemporaryDirectory() as folder:
        board = Board(Path(folder), database={"keep_measures": "1 day"})
        for kind, number in acts:
            act(board, kind, number)
        first = board.before_boot if board.computer.up_s < TRUSTED_AFTER_S else len(board.sent)

        board.computer.set_right()
        board.hear(3)

        times = board.times()
        errors_s = [
            times[w] - ts for w, ts in board.sent.items() if w in times and w >= 100 + first
        ]
        assert errors_s
        assert max(map(abs, errors_s)) < 2
        young = {w for w, ts in board.sent.items() if board.computer.now_ts - ts < DAY_S}
        undated = {w for (w,) in board.ask("SELECT value FROM set_aside")}
        assert young <= times.keys() | undated
        assert board.totals_kwh == sorted(board.totals_kwh)
        assert_right(board)
        board.close()
