"""`cw-mqtt analyze` as its users meet it, and that no command shows a key."""

import json
import re
import signal
from contextlib import closing
from pathlib import Path

import pytest

from cw_mqtt.decode.packets import fingerprint
from tests.command import call, started, write_config
from tests.end_to_end.process import Board
from tests.listened import OWN_KEY, chunks, sensor, sent
from tests.packets import KEY, OTHER_KEY, payloads
from tests.waiting import DEADLINE_S

PAGE = (Path(__file__).parents[3] / "docs/packets.md").read_text()
EXAMPLES = re.findall(r"^    \$ cw-mqtt (.*)\n((?:    .*\n)+)", PAGE, re.MULTILINE)


@pytest.fixture
def config(tmp_path):
    entry = {"slug": "main", "name": "CitizenWatt", "key": OWN_KEY.hex()}
    return write_config(tmp_path, sensors=[{**entry, "previous_keys": [OTHER_KEY.hex()]}])


def capture_of(path, bursts):
    lines = [f"{c.monotonic_s:.3f} {c.content.hex() or '-'}\n" for c in chunks(bursts)]
    header = '{"cwcap": 1, "receiver": "hall", "started": "2026-11-22T22:33:15.250+00:00"}\n'
    path.write_text(header + "".join(lines))
    return path


def hexed(packets):
    return [packet.hex() for packet in packets]


def spellings(key):
    """A key as hex in any order of bytes, as numbers and as Python and C write it."""
    numbers = [list(map(str, key)), [f"0x{byte:02x}" for byte in key]]
    joined = [mark.join(each) for each in numbers for mark in (",", ", ", "-", " ")]
    return [key.hex(), key[::-1].hex(), key.hex(" "), key.hex("-"), repr(key)[2:-1], *joined]


def test_a_healthy_capture_ends_with_code_0_and_says_so(tmp_path, config):
    capture = capture_of(tmp_path / "x.cwcap", sent(sensor(), 20))

    result = call(config, "analyze", capture)

    assert result.exit_code == 0
    assert result.stdout.startswith("Certain: the key is right and the sensor is healthy.\n")
    assert "20 bursts, 320 bytes, 19 of 19 times within a tenth of\n8.2 s apart." in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_a_wrong_key_ends_with_code_1_and_says_what_to_do(config):
    result = call(config, "analyze", *hexed(sent(sensor(KEY[5:] + KEY[:5]), 9)))

    assert result.exit_code == 1
    assert result.stdout.startswith("Likely: a wrong key, or another sensor.\n  9 of 9 packets")
    assert "\n  Compare `cw-mqtt key fingerprint`" in result.stdout


def test_programs_are_told_the_same(config):
    result = call(config, "analyze", "--json", *hexed(sent(sensor(), 9)))

    report = json.loads(result.stdout)
    assert report["healthy"]
    assert report["packets"] == 9
    assert report["keys"][0]["fingerprint"] == fingerprint(OWN_KEY)
    assert report["keys"][0]["proofs"] == {"boot": 1, "chain": 8}
    assert report["findings"][0]["likelihood"] == "certain"


def test_a_longer_hex_stream_is_cut_into_packets(config):
    result = call(config, "analyze", "ff" + b"".join(sent(sensor(), 9)).hex())

    assert result.exit_code == 0
    assert "9 of 9 packets open" in result.stdout


def test_each_byte_is_explained_when_asked_for(config):
    result = call(config, "analyze", "--verbose", sent(sensor(), 1)[0].hex())

    assert re.search(r"0-1 +power +e402 +740 W +0 to 36000 W +passes", result.stdout)
    assert re.search(r"2-3 +voltage .* 90 to 280 V +FAILS", result.stdout)


@pytest.mark.parametrize("source", ["none.cwcap", "zz", "0"])
def test_what_is_neither_capture_nor_hex_is_refused(config, source):
    result = call(config, "analyze", source)

    assert result.exit_code == 2
    assert "expected a capture that exists, or hex digits" in result.stderr


def test_the_port_is_listened_to_until_ctrl_c_which_gives_the_report(tmp_path):
    with closing(Board()) as board:
        config = write_config(tmp_path, receivers=[{"name": "hall", "port": board.port}])
        board.send(payloads()[0])
        with started(config, "analyze", "--receiver", "hall") as process:
            assert "Ctrl+C ends it" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
            shown, _ = process.communicate(timeout=DEADLINE_S)

    assert process.returncode in (0, 1)
    assert "nothing at all was received" in shown


def test_listening_to_a_port_ends_after_the_duration(tmp_path):
    with started(write_config(tmp_path), "analyze", "--duration", "1s") as process:
        shown, said = process.communicate(timeout=DEADLINE_S)

    assert "Listening to hall for 1 s" in said
    assert "1 different packets in 1 bursts, 16 bytes" in shown
    assert process.returncode == 1


@pytest.mark.usefixtures("caplog")
@pytest.mark.parametrize("key", [OWN_KEY, OTHER_KEY])
def test_no_spelling_of_a_key_is_ever_shown(config, key):
    packets = hexed([*sent(sensor(key), 9), *sent(sensor(key[::-1]), 9)])
    commands = ("analyze", "analyze --json", "analyze --verbose", "decode", "decode --json")

    shown = [call(config, *command.split(), *packets).output for command in commands]
    shown += [call(config, "key", "fingerprint", *option).output for option in ([], ["--json"])]
    shown += [call(config, command, key.hex()).output for command in ("analyze", "decode")]
    shown += [call(config, command, key.hex() + "x").output for command in ("analyze", "decode")]

    text = "\n".join(shown).lower()
    assert len(text) > 10_000
    assert [each for each in spellings(key) if each.lower() in text] == []


@pytest.mark.parametrize(("command", "output"), EXAMPLES)
def test_the_examples_of_the_page_on_packets_are_what_is_shown(tmp_path, command, output):
    result = call(write_config(tmp_path), *command.split())

    shown = [f"    {line}".rstrip() for line in result.stdout.splitlines()]
    assert shown == [line.rstrip() for line in output.splitlines()]
