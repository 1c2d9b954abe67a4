"""From a port in the settings to its receiver."""

from pathlib import Path

from cw_mqtt.acquire.ports import make_receiver
from cw_mqtt.config.settings import ReceiverSettings, SensorSettings
from tests.acquire.conftest import Board, Serving
from tests.settings import SENSOR
from tests.waiting import wait_until

FRAME = bytes.fromhex("4e8c318a0979728c76971ccc6db512d7")
CAPTURE = '{"cwcap": 1, "receiver": "x", "started": "2026-11-22T22:33:15+00:00"}\n0.000 0a\n'
SENSORS = [SensorSettings.model_validate(SENSOR)]


def start(serving: Serving, port: str, folder: Path) -> None:
    settings = ReceiverSettings(name="hall", port=port)
    append, health = serving.chunks.append, serving.health
    serving.start(make_receiver(settings, folder, SENSORS, append, health))


def test_a_path_is_a_serial_device_also_with_colons_in_it(
    serving: Serving, board: Board, tmp_path: Path
) -> None:
    device = tmp_path / "pci-0000:00:14.0-usb-0:1:1.0-port0"
    device.symlink_to(board.port)
    start(serving, str(device), tmp_path)

    board.send(FRAME)

    wait_until(lambda: serving.contents == [FRAME, b""])
    assert serving.figure("hall", "port") == str(device)


def test_a_pipe_is_meant_from_the_folder_of_the_settings(serving: Serving, tmp_path: Path) -> None:
    start(serving, "fifo:sensor", tmp_path)

    (tmp_path / "sensor").write_bytes(FRAME)

    wait_until(lambda: serving.contents == [FRAME, b""])


def test_a_capture_is_meant_from_the_folder_of_the_settings(
    serving: Serving, tmp_path: Path
) -> None:
    (tmp_path / "hall.cwcap").write_text(CAPTURE)

    start(serving, "replay:hall.cwcap", tmp_path)

    wait_until(lambda: serving.contents == [b"\x0a"])


def test_simulated_sensors_send_at_once(serving: Serving, tmp_path: Path) -> None:
    start(serving, "simulated:", tmp_path)

    wait_until(lambda: [len(content) for content in serving.contents] == [16, 0])


def test_the_stage_is_named_after_the_receiver(serving: Serving, tmp_path: Path) -> None:
    settings = ReceiverSettings(name="hall", port="/dev/ttyUSB0")

    service = make_receiver(settings, tmp_path, SENSORS, serving.chunks.append, serving.health)

    assert service.name == "receiver hall"
