"""The command line as its users meet it: in this process where that is fast, else as a process."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from cw_mqtt.commands import main
from tests.end_to_end.process import CW_MQTT
from tests.packets import KEY
from tests.waiting import DEADLINE_S


def write_config(folder: Path, **changes: Any) -> Path:
    """A config.yaml with one sensor, whose port is simulated and whose data is in `folder`."""
    config = folder / "config.yaml"
    sensor = {"slug": "main", "name": "CitizenWatt", "key": KEY.hex()}
    settings = {
        "timezone": "Europe/Paris",
        "data_dir": str(folder / "data"),
        "receivers": [{"name": "hall", "port": "simulated:"}],
        "sensors": [sensor],
        **changes,
    }
    config.write_text(json.dumps(settings))  # JSON is YAML
    return config


def call(config: Path, *arguments: object, typed: str | None = None) -> Result:
    """`cw-mqtt --config CONFIG ARGUMENTS`; a traceback for its user is a failed test."""
    words = ["--config", str(config), *map(str, arguments)]
    umask = os.umask(0)  # which the command changes for its process
    os.umask(umask)
    result = CliRunner().invoke(main, words, input=typed, prog_name="cw-mqtt")
    os.umask(umask)
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


@contextmanager
def started(config: Path, *arguments: object, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """The same as a process; it is killed if it still runs in the end."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [str(CW_MQTT), "--config", str(config), *map(str, arguments)]
    with subprocess.Popen(command, text=True, **{**pipes, **options}) as process:
        try:
            yield process
        finally:
            process.kill()


def press_ctrl_c(process: subprocess.Popen[str]) -> tuple[int, str]:
    """End it as people do; the answer is its exit code, and what it said after all on stderr."""
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=DEADLINE_S)
    return process.returncode, said
