"""Compiling the sketches, and running them on the simulated boards of `host.c`."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cw_mqtt.config.keys import key_header
from cw_mqtt.decode.framing import checked_fields
from tests.missing import TOOLCHAIN, find, missing
from tests.packets import KEY

HERE = Path(__file__).parent
SKETCHES = HERE.parent.parent / "arduino"
ADDRESS = "E056D446D0"
PARTS = (Path("/usr/include/simavr"), Path("/usr/share/arduino/hardware/arduino/avr"))
PROGRAMS = ("avr-g++", "gcc", "make", "pkg-config")
EVENT = re.compile(r"(\d+\.\d{3}) (\w+) (\w+) (.*)")


@dataclass(frozen=True, slots=True)
class Event:
    """What a board did at a time since it was switched on: `says` a line, `air` a packet ..."""

    at_ms: float
    board: str
    what: str
    text: str

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a line of the receiver whose checksum is right, else none."""
        return checked_fields(self.text.encode()) or ()


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where programs are compiled, from sketches that hold the recorded packets' key."""

    folder: Path

    def make(self, file: str, board: str = "uno") -> Path:
        """Compile a file, unless it is there.

        Raises `AssertionError` with what the compiler says when it says anything.
        """
        path = self._build(board) / file
        self.call_make(str(path), board)
        return path

    def call_make(self, target: str, board: str = "uno") -> str:
        """Make a target of the Makefile in this folder; what it says. Raises as `make`."""
        variables = (f"ARDUINO={self.folder}", f"BUILD={self._build(board)}", f"BOARD={board}")
        command = ["make", "-s", *variables, target]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    def with_sensors(self, folder: Path, *ends: str) -> "Workshop":
        """Another workshop in a folder, whose receiver listens to addresses with these ends."""
        ignored = shutil.ignore_patterns("build")
        shutil.copytree(self.folder, folder, ignore=ignored, dirs_exist_ok=True)
        config = folder / "receiver" / "config.h"
        config.write_text(config.read_text().replace("0xD0", ", ".join(ends)))
        return Workshop(folder)

    def _build(self, board: str) -> Path:
        return self.folder / "build" / board


def open_workshop(folder: Path) -> Workshop:
    """Copy the sketches into a folder, with a key, to compile them there.

    Skips the test, or fails it in CI, where there is no compiler.
    """
    if not (all(map(find, PROGRAMS)) and all(path.exists() for path in PARTS)):
        missing(TOOLCHAIN)
    ignored = shutil.ignore_patterns("sensor_key.h")
    shutil.copytree(SKETCHES, folder, ignore=ignored, dirs_exist_ok=True)
    (folder / "sensor" / "sensor_key.h").write_text(key_header("main", KEY))
    return Workshop(folder)


class Simulation:
    """Boards with these programs, run in virtual time: the same on every machine."""

    def __init__(self, host: Path, receiver: Path | None = None, sensor: Path | None = None):
        boards = {"-r": receiver, "-s": sensor}
        self._command = [str(host)]
        for option, program in boards.items():
            self._command += [option, str(program)] if program else []

    def run(self, *script: str) -> list[Event]:
        """What happens in a script; each of its lines is a time in ms, a verb and its words."""
        script_bytes = "\n".join(script).encode()
        done = subprocess.run(self._command, input=script_bytes, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        events = (EVENT.fullmatch(line) for line in done.stdout.decode().splitlines())
        return [Event(float(e[1]), e[2], e[3], e[4]) for e in events if e]


def lines(events: Iterable[Event], kind: str = "") -> list[Event]:
    """The receiver's lines, all or those of a kind: H, P, S or E."""
    said = [e for e in events if (e.board, e.what) == ("receiver", "says")]
    return [e for e in said if not kind or e.fields[:1] == (kind,)]


def sent(events: Iterable[Event]) -> list[Event]:
    """The first attempt of each packet that a sensor sent."""
    air = [e for e in events if (e.board, e.what) == ("sensor", "air")]
    return [e for i, e in enumerate(air) if i == 0 or payload_of(air[i - 1]) != payload_of(e)]


def payload_of(event: Event) -> bytes:
    """The payload of a packet on the air."""
    return bytes.fromhex(event.text.split()[1])


def send(at_ms: float, packet_id: int, payload: bytes, address: str = ADDRESS) -> str:
    """The script's line by which somebody sends a payload."""
    return f"{at_ms} send {packet_id} {address} {payload.hex()}"


def payloads_of(said: Sequence[Event]) -> list[str]:
    """The payloads in a receiver's lines of kind P, as hex digits."""
    return [e.fields[3] for e in said]
