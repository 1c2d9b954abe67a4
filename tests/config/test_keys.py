"""Keys are made, put into files, and compared; only the one command that makes a key shows it."""

import re
import stat
import subprocess
from pathlib import Path

import pytest

from cw_mqtt.config.keys import config_line, fingerprints, key_header, refuse_keys
from cw_mqtt.config.load import EXAMPLE_KEY
from cw_mqtt.config.values import parse_key
from cw_mqtt.decode.packets import SensorKey, fingerprint
from cw_mqtt.errors import UsageError
from tests.command import call, press_ctrl_c, started, write_config
from tests.missing import COMPILER, needed
from tests.packets import KEY, OTHER_KEY
from tests.program import HOST, free_port

NO_CONFIG = Path("none.yaml")


def key_in(header):
    return bytes(int(number, 16) for number in re.findall(r"0x([0-9a-f]{2})\b", header))


def configured_key(output):
    return parse_key(re.search(r'^key: "(.*)"$', output, re.MULTILINE)[1])


def test_a_fingerprint_is_the_beginning_of_the_sha_256():
    assert fingerprint(KEY) == "be45cb26"


def test_the_header_holds_the_key_the_sensor_and_the_fingerprint():
    header = key_header("main", OTHER_KEY)

    assert key_in(header) == OTHER_KEY
    assert header.startswith(f"// The key of sensor main, fingerprint {fingerprint(OTHER_KEY)}.")
    assert "static const uint8_t SENSOR_KEY[16] = {" in header


def test_the_header_compiles_and_may_be_included_twice(tmp_path):
    (tmp_path / "sensor_key.h").write_text(key_header("main", OTHER_KEY))
    twice = '#include "sensor_key.h"\n' * 2 + "int first = sizeof SENSOR_KEY;"
    (tmp_path / "sketch.c").write_text(twice)

    command = [needed("gcc", COMPILER), "-std=c11", "-Wall", "-Werror", "-c", "sketch.c"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0


def test_the_line_for_the_settings_is_read_as_the_key():
    assert configured_key(config_line(OTHER_KEY)) == OTHER_KEY


def test_the_example_key_is_named_among_fingerprints():
    keys = [SensorKey("main", OTHER_KEY, 1), SensorKey("main", KEY, 1, previous=True)]

    texts = [each.text() for each in fingerprints(keys, EXAMPLE_KEY)]

    assert texts == [
        f"main: key {fingerprint(OTHER_KEY)}",
        "main: key be45cb26, a previous key, the published example key",
    ]


def test_a_key_given_as_a_packet_is_refused():
    with pytest.raises(UsageError, match="a key of sensor main"):
        refuse_keys(b"x" + KEY, [SensorKey("main", KEY, 1)])


def test_generate_shows_a_new_key_each_time_for_the_sketch_and_the_settings():
    first, second = (call(NO_CONFIG, "key", "generate", "--slug", "attic") for _ in range(2))

    assert first.exit_code == second.exit_code == 0
    key = configured_key(first.stdout)
    assert key == key_in(first.stdout) != configured_key(second.stdout)
    assert f"fingerprint: {fingerprint(key)}" in first.stdout
    assert "previous_keys" in first.stdout


def test_generate_writes_the_header_for_its_owner_alone(tmp_path):
    path = tmp_path / "sensor_key.h"

    result = call(NO_CONFIG, "key", "generate", "--slug", "attic", "--output", path)

    assert result.exit_code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key_in(path.read_text()) == configured_key(result.stdout)
    assert "uint8_t" not in result.stdout


def test_generate_overwrites_no_file_and_then_shows_no_key(tmp_path):
    path = tmp_path / "sensor_key.h"
    path.write_text("mine")

    result = call(NO_CONFIG, "key", "generate", "--slug", "attic", "--output", path)

    assert result.exit_code == 2
    assert result.output == f"cw-mqtt: cannot write {path}: File exists\n"
    assert path.read_text() == "mine"


@pytest.mark.parametrize("slug", ["", "Main", "bridge", "a b"])
def test_generate_refuses_what_can_be_no_slug(slug):
    result = call(NO_CONFIG, "key", "generate", "--slug", slug)

    assert result.exit_code == 2
    assert "cw-mqtt: --slug: " in result.output


def test_fingerprint_shows_each_configured_key_and_programs_the_same(tmp_path):
    sensor = {"slug": "main", "name": "x", "key": OTHER_KEY.hex(), "previous_keys": [KEY.hex()]}
    config = write_config(tmp_path, sensors=[sensor])

    shown, told = (call(config, "key", "fingerprint", *options) for options in ([], ["--json"]))

    assert shown.stdout.splitlines()[0] == f"main: key {fingerprint(OTHER_KEY)}"
    assert '"fingerprint": "be45cb26", "previous": true, "example": true' in told.stdout


def test_the_log_begins_with_the_fingerprint_of_each_sensors_key(tmp_path):
    web = {"host": HOST, "port": free_port()}
    with started(write_config(tmp_path, web=web), "run") as process:
        said = next(line for line in process.stderr if "sensor main" in line)
        press_ctrl_c(process)

    assert said.endswith("sensor main: key be45cb26\n")
