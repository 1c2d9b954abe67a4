"""Record, replay and simulate: what one of them writes, the other one and the bridge hear."""

import json
import os
import re
from contextlib import closing

import pytest
from Crypto.Cipher import AES

from cw_mqtt.acquire.capture import read_capture
from cw_mqtt.decode.formats import FORMATS, format_of
from cw_mqtt.decode.framing import Framer
from cw_mqtt.model import SILENCE_S
from tests.command import call, press_ctrl_c, started, write_config
from tests.end_to_end.process import Board
from tests.packets import KEY, chunk, keyring, payloads, powers
from tests.waiting import DEADLINE_S, wait_until

SILENT = " -\n"
HEADER = '{"cwcap": 1, "receiver": "%s", "started": "2014-12-01T22:33:15.250+00:00"}\n'


@pytest.fixture
def board():
    with closing(Board()) as board:
        yield board


def replayed(config, capture):
    result = call(config, "replay", capture, "--json")
    assert result.exit_code == 0
    return json.loads(result.stdout)


def decrypted(capture):
    cipher = AES.new(KEY, AES.MODE_ECB)
    return [cipher.decrypt(chunk.content) for chunk in read_capture(capture) if chunk.content]


def capture_of(sent, receiver="hall"):
    bursts = (f"{n * 9}.000 {p.hex()}\n{n * 9}.045 -\n" for n, p in enumerate(sent))
    return HEADER % receiver + "".join(bursts)


def test_what_was_recorded_from_a_board_is_replayed_to_its_readings(tmp_path, board):
    config = write_config(tmp_path, receivers=[{"name": "hall", "port": board.port}])
    capture, sent = tmp_path / "hall.cwcap", payloads()[:8]

    with started(config, "record", capture) as process:
        assert "Ctrl+C ends it" in process.stderr.readline()
        wait_until(lambda: board.send(b"boot\r\n") or " open " in capture.read_text())
        for n, payload in enumerate(sent):
            wait_until(lambda: capture.read_text().count(SILENT) > n)  # noqa: B023 - used at once
            board.send(payload)
        wait_until(lambda: f"{sent[-1].hex()}\n" in capture.read_text())
        code, said = press_ctrl_c(process)

    assert code == 0
    assert re.search(r"^\d+ bytes recorded.\n\Z", said, re.MULTILINE)
    report = replayed(config, capture)
    assert [reading["power_w"] for reading in report["readings"]] == powers()[:8]
    assert report["heard"]["sensors"]["main"]["held"] == 0


def test_recording_ends_after_the_duration(tmp_path):
    with started(write_config(tmp_path), "record", tmp_path / "x", "--duration", "1s") as process:
        _, said = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 0
    assert "16 bytes recorded." in said


@pytest.mark.parametrize("command", ["record", "simulate --output"])
def test_a_capture_that_exists_is_not_written_over(tmp_path, command):
    capture = tmp_path / "hall.cwcap"
    capture.write_text("mine")

    with started(write_config(tmp_path), *command.split(), capture) as process:
        _, said = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 2
    assert said == f"cw-mqtt: cannot write {capture}: File exists\n"
    assert capture.read_text() == "mine"


def test_an_unknown_receiver_is_refused_and_the_known_ones_are_named(tmp_path):
    capture = tmp_path / "hall.cwcap"

    result = call(write_config(tmp_path), "record", capture, "--receiver", "attic")

    assert result.exit_code == 2
    assert "no receiver 'attic' in the settings; there is hall" in result.stderr
    assert not capture.exists()


def test_a_replay_goes_by_the_times_of_the_capture_and_the_timezone_of_the_settings(tmp_path):
    capture = tmp_path / "2014.cwcap"
    capture.write_text(capture_of(payloads()))

    result = call(write_config(tmp_path), "replay", capture)

    lines = result.stdout.splitlines()
    assert lines[0] == "2014-12-01 23:33:15  main              750 W  3296 mV  settling"
    assert lines[19].startswith("2014-12-01 23:36:06  main")


@pytest.mark.parametrize(("receiver", "readings"), [("attic", 20), ("elsewhere", 0)])
def test_a_replay_takes_the_receiver_that_the_capture_names(tmp_path, receiver, readings):
    sensor = {"slug": "main", "name": "CitizenWatt", "key": KEY.hex(), "receivers": ["attic"]}
    both = [{"name": name, "port": "simulated:"} for name in ("hall", "attic")]
    config = write_config(tmp_path, receivers=both, sensors=[sensor])
    (tmp_path / "x.cwcap").write_text(capture_of(payloads(), receiver))

    report = replayed(config, tmp_path / "x.cwcap")

    assert len(report["readings"]) == readings


def test_an_empty_capture_has_no_readings(tmp_path):
    (tmp_path / "x.cwcap").write_text(HEADER % "hall")

    report = replayed(write_config(tmp_path), tmp_path / "x.cwcap")

    assert (report["readings"], report["heard"]["receiver"]) == ([], {})


@pytest.mark.parametrize(
    ("text", "place"), [(None, "No such file"), ("", ":1:"), (HEADER % "hall" + "x\n", ":2:")]
)
def test_what_is_no_capture_is_refused_with_its_place(tmp_path, text, place):
    capture = tmp_path / "x.cwcap"
    if text is not None:
        capture.write_text(text)

    result = call(write_config(tmp_path), "replay", capture)

    assert result.exit_code == 2
    assert place in result.stderr
    assert str(capture) in result.stderr


@pytest.mark.parametrize("form", [[], ["--lines"]])
def test_a_simulated_capture_is_replayed_whole(tmp_path, form):
    config, capture = write_config(tmp_path), tmp_path / "x.cwcap"

    written = call(config, "simulate", "--output", capture, "--duration", "10m", *form)

    assert written.exit_code == 0
    readings = replayed(config, capture)["readings"]
    assert [r["verdict"] for r in readings] == ["confirmed", *["verified"] * (len(readings) - 1)]
    assert len(readings) == 74


@pytest.mark.parametrize("name", FORMATS)
def test_a_simulated_sensor_is_read_back_in_each_format(tmp_path, name):
    sensor = {"slug": "main", "name": "CitizenWatt", "key": KEY.hex(), "format": name}
    config, capture = write_config(tmp_path, sensors=[sensor]), tmp_path / "x.cwcap"

    call(config, "simulate", "--output", capture, "--duration", "2m")

    sent_w = [FORMATS[name].values(plain)["power"] for plain in decrypted(capture)]
    assert len(sent_w) == 15
    assert [reading["power_w"] for reading in replayed(config, capture)["readings"]] == sent_w


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_recorded_of_a_simulated_sensor_has_its_format(tmp_path, name):
    sensor = {"slug": "main", "name": "CitizenWatt", "key": KEY.hex(), "format": name}
    config, capture = write_config(tmp_path, sensors=[sensor]), tmp_path / "x.cwcap"

    with started(config, "record", capture, "--duration", "1s") as process:
        process.communicate(timeout=DEADLINE_S)

    assert [format_of(plain).name for plain in decrypted(capture)] == [name]


@pytest.mark.parametrize("form", [[], ["--lines"]])
def test_the_simulated_port_sends_packets_of_the_sensor_until_ctrl_c(tmp_path, form):
    with started(write_config(tmp_path), "simulate", *form) as process:
        port = os.open(process.stdout.readline().strip(), os.O_RDONLY | os.O_NOCTTY)
        sent = os.read(port, 100)
        os.close(port)
        code, said = press_ctrl_c(process)

    framer = Framer("auto", keyring().open)
    opened = [*framer.feed(chunk(sent)), *framer.feed(chunk(b"", SILENCE_S))]
    assert len(opened) == 1
    assert (code, said.count("\n")) == (0, 1)


def test_the_simulated_port_closes_after_the_duration(tmp_path):
    with started(write_config(tmp_path), "simulate", "--duration", "0s") as process:
        assert process.wait(DEADLINE_S) == 0
        assert process.stderr.read().count("\n") == 1


def test_packets_that_the_air_lost_are_missing_and_the_others_are_proven(tmp_path):
    config, capture = write_config(tmp_path), tmp_path / "lossy.cwcap"

    call(config, "simulate", "--loss", "0.1", "--duration", "2h", "--output", capture)

    report = replayed(config, capture)
    assert 600 < len(report["readings"]) < 850
    assert {r["verdict"] for r in report["readings"]} <= {"confirmed", "verified", "unverified"}
