"""Clocks that stand still until a test moves them."""

from dataclasses import dataclass

from cw_mqtt.model import Chunk
from cw_mqtt.runtime.clock import Clocks


@dataclass
class Clock:
    """Tells `now`, in seconds."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Computer:
    """A computer whose clock is `ahead_s` of the right time, `now_ts`."""

    now_ts: float
    ahead_s: float = 0.0
    synchronised: bool = False
    up_s: float = 20.0
    boots: int = 1

    def clocks(self) -> Clocks:
        """Its clocks, for a process that is started now."""
        return Clocks(self.wall_ts, lambda: self.up_s, lambda: self.synchronised, str(self.boots))

    def wall_ts(self) -> float:
        return self.now_ts + self.ahead_s

    def wait(self, seconds: float) -> None:
        self.now_ts += seconds
        self.up_s += seconds

    def set_right(self, *, synchronised: bool = True) -> None:
        self.ahead_s, self.synchronised = 0.0, synchronised

    def reboot(self, ahead_s: float) -> None:
        self.boots, self.up_s = self.boots + 1, 20.0
        self.ahead_s, self.synchronised = ahead_s, False

    def chunk(self, content: bytes, receiver: str = "hall") -> Chunk:
        return Chunk(receiver, self.wall_ts(), self.up_s, content)
