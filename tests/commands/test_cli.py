"""What every command owes its user: help, words in place of tracebacks, exit codes, a clean end."""

import base64
import json
import os
import pty
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from cw_mqtt.commands import COMMANDS
from cw_mqtt.commands.common import duration
from cw_mqtt.commands.user import user
from cw_mqtt.config.settings import DatabaseSettings
from cw_mqtt.records import Key, Range
from cw_mqtt.store.engine import make_engine
from cw_mqtt.store.users import Accounts
from tests.command import call, press_ctrl_c, started, write_config
from tests.end_to_end.process import CW_MQTT, Bridge
from tests.home import Home, reading
from tests.packets import payloads, powers
from tests.program import HOST, free_port
from tests.waiting import DEADLINE_S, wait_until

SHIPPED = Path(__file__).parents[2] / "config.yaml"
WITH_PARTS = [
    *COMMANDS,
    *(f"user {name}" for name in user.commands),
    "user token add",
    "rollups check",
    "rollups rebuild",
]
HEAVY = {"sqlalchemy", "cherrypy", "paho", "serial", "alembic", "jinja2", "argon2"}


@pytest.fixture
def config(tmp_path):
    return write_config(tmp_path)


@pytest.fixture(scope="module")
def bridge(tmp_path_factory):
    """A running bridge without a broker, for all tests that only talk with it."""
    folder = tmp_path_factory.mktemp("bridge")
    running = Bridge(folder, {"receivers": [{"name": "hall", "port": "simulated:"}]})
    running.start()
    yield running
    running.stop()


def heavy_modules_of(*arguments):
    """Which of the libraries that take time and memory a command has imported."""
    program = (
        "import sys; from cw_mqtt.commands import main; main(sys.argv[1:], standalone_mode=False)"
    )
    show = "; print('', *sys.modules, sep='\\n')"
    command = [sys.executable, "-c", program + show, *map(str, arguments)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return HEAVY & set(shown.splitlines())


def page_status(port, login="", password="", token=""):
    credentials = base64.b64encode(f"{login}:{password}".encode()).decode()
    authorization = f"Bearer {token}" if token else f"Basic {credentials}"
    request = urllib.request.Request(
        f"http://{HOST}:{port}/", headers={"Authorization": authorization}
    )
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("command", WITH_PARTS)
def test_every_command_helps_without_a_config(tmp_path, command):
    result = call(tmp_path / "none.yaml", *command.split(), "--help")

    assert result.exit_code == 0
    assert f"Usage: cw-mqtt {command}" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        "nonsense",
        "run --nonsense",
        "decode",
        "record",
        "replay",
        "user add",
        "user role ada admin",
        "user token add x --role all",
        "demo --history 3x",
        "record out.cwcap --duration soon",
    ],
)
def test_a_wrong_call_ends_with_code_2_and_says_how_to_call(config, arguments):
    result = call(config, *arguments.split())

    assert result.exit_code == 2
    assert "Usage: cw-mqtt" in result.stderr


@pytest.mark.parametrize("command", ["run", "check-config", "decode 00", "record x", "simulate"])
def test_without_a_config_a_command_ends_with_code_2_and_names_it(tmp_path, command):
    result = call(tmp_path / "none.yaml", *command.split())

    assert result.exit_code == 2
    assert "none.yaml: no such file" in result.stderr


def test_where_no_config_is_given_or_found_the_places_are_named(tmp_path):
    command = [CW_MQTT, "check-config"]

    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    assert "neither config.yaml nor /etc/cw-mqtt/config.yaml exists" in ended.stderr


def test_a_mistake_in_the_config_is_shown_with_its_place_and_nothing_starts(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(SHIPPED.read_text().replace("name: CitizenWatt ", "nmae: CitizenWatt "))

    result = call(config, "run")

    assert result.exit_code == 2
    assert f"{config}:19:5: sensors[0].nmae: unknown setting" in result.stderr
    assert "nothing was started" in result.stderr
    assert list(tmp_path.iterdir()) == [config]


def test_check_config_finds_the_shipped_config_right():
    result = call(SHIPPED, "check-config")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].endswith("is right: 1 receiver(s), 1 sensor(s).")
    assert "published example key" in result.stdout
    assert "The time zone is " in result.stdout


def test_check_config_tells_programs_the_same(tmp_path):
    right = call(SHIPPED, "check-config", "--json")
    wrong = call(write_config(tmp_path, sensors=[]), "check-config", "--json")

    assert (right.exit_code, wrong.exit_code) == (0, 2)
    assert json.loads(right.stdout)["ok"]
    report = json.loads(wrong.stdout)
    assert not report["ok"]
    assert report["mistakes"][0]["setting"] == "sensors"
    assert report.keys() == json.loads(right.stdout).keys()


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43_200), ("99999d", 8_639_913_600)]
)
def test_a_duration_is_a_number_and_a_unit(text, seconds):
    assert duration(text).total_seconds() == seconds


def test_decode_says_what_is_in_a_packet(config):
    spaced = payloads()[0].hex(" ")

    result = call(config, "decode", spaced, payloads()[1].hex())

    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert first.endswith(f"main: {powers()[0]} W, 240 V, 3296 mV, 412 ms, first after a boot")
    assert second.endswith(f"main: {powers()[1]} W, 240 V, 3286 mV, 1284 ms")


def test_decode_tells_programs_one_line_for_each_packet_and_key(config):
    result = call(config, "decode", "--json", *(payload.hex() for payload in payloads()))

    shown = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["power_w"] for each in shown] == powers()
    assert all(each["plausible"] for each in shown)


@pytest.mark.parametrize("text", ["zz" * 16, "00" * 15, "00" * 17, "0", "", "\N{MICRO SIGN}"])
def test_decode_refuses_what_is_no_packet(config, text):
    result = call(config, "decode", "--", text)

    assert result.exit_code == 2
    assert "expected 32 hex digits, the 16 bytes of one packet" in result.stderr
    assert result.stdout == ""


def test_a_new_user_may_log_in_to_the_running_bridge(bridge):
    config = bridge.config

    first = call(config, "user", "add", "ada", typed="lovelace é\nlovelace é\n")
    again = call(config, "user", "add", "ada", typed="another one\nanother one\n")

    assert (first.exit_code, again.exit_code) == (0, 2)
    assert first.stdout.endswith("ada may log in now.\n")
    assert "lovelace" not in first.output
    assert "there is already a user 'ada'" in again.stderr
    assert page_status(bridge.port, "ada", "lovelace é") == 200


@pytest.mark.parametrize(
    ("login", "password"),
    [("", "long enough"), ("a:b", "long enough"), ("a\nb", "long enough"), ("a", "\udcff")],
)
def test_a_login_or_password_that_no_browser_could_send_is_refused(config, login, password):
    result = call(config, "user", "add", login, "--password", password)

    assert result.exit_code == 2
    assert "printable" in result.stderr
    assert not (config.parent / "data").exists()


def test_a_short_password_is_refused(config):
    result = call(config, "user", "add", "ada", "--password", "7 chars")

    assert result.exit_code == 2
    assert "8 to 1000 characters" in result.stderr


def test_a_new_password_ends_the_old_one_in_the_running_bridge(bridge):
    config = bridge.config
    call(config, "user", "add", "eve", "--password", "the old one")
    before = page_status(bridge.port, "eve", "the old one")

    result = call(config, "user", "passwd", "eve", typed="the new one\nthe new one\n")

    assert result.exit_code == 0
    assert (before, page_status(bridge.port, "eve", "the new one")) == (200, 200)
    assert page_status(bridge.port, "eve", "the old one") == 401


def test_users_are_listed_changed_and_removed(config):
    call(config, "user", "add", "bob", "--password", "long enough", "--role", "read")
    call(config, "user", "add", "ada", "--password", "long enough")
    before = call(config, "user", "list").stdout

    call(config, "user", "role", "bob", "write")
    call(config, "user", "remove", "ada")
    after = call(config, "user", "list", "--json").stdout

    assert before == "login  role\nada    write\nbob    read\n"
    assert json.loads(after) == [{"login": "bob", "role": "write"}]


def test_where_there_is_no_user_or_token_the_list_says_how_to_make_one(config):
    assert "cw-mqtt user add NAME" in call(config, "user", "list").stdout
    assert "cw-mqtt user token add NAME" in call(config, "user", "token", "list").stdout
    assert call(config, "user", "list", "--json").stdout == "[]\n"


@pytest.mark.parametrize(
    "command",
    ["passwd eve --password long-enough", "role eve read", "remove eve", "token remove eve"],
)
def test_a_user_or_token_that_is_not_there_is_named(config, command):
    result = call(config, "user", *command.split())

    assert result.exit_code == 2
    assert "'eve'; cw-mqtt user" in result.stderr


def test_a_token_is_shown_once_and_lets_a_program_in_until_it_is_removed(bridge):
    config = bridge.config

    token = call(config, "user", "token", "add", "solar", "--role", "write").stdout.strip()
    let_in = page_status(bridge.port, token=token)
    listed = call(config, "user", "token", "list", "--json").stdout
    call(config, "user", "token", "remove", "solar")

    shown = json.loads(listed)[0]
    assert let_in == 200
    assert (shown["name"], shown["role"], shown.keys()) == (
        "solar",
        "write",
        {"name", "role", "created", "last_used"},
    )
    assert shown["last_used"] == shown["created"][:10]
    assert token not in listed
    assert page_status(bridge.port, token=token) == 401


def test_a_token_is_told_programs_in_json(config):
    told = json.loads(call(config, "user", "token", "add", "solar", "--json").stdout)

    assert (told["name"], told["role"]) == ("solar", "read")
    assert told["token"].startswith("cwmqtt_")
    assert "never" in call(config, "user", "token", "list").stdout


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 256])
def test_a_token_needs_a_name_that_can_be_shown(config, name):
    result = call(config, "user", "token", "add", name)

    assert result.exit_code == 2
    assert "printable" in result.stderr


@pytest.mark.parametrize(
    "command", [["run"], ["demo"], ["user", "add", "ada", "--password", "lovelace"]]
)
def test_a_data_dir_that_cannot_be_used_is_named(tmp_path, command):
    (tmp_path / "data").touch()

    with started(write_config(tmp_path), *command) as process:
        _, said = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 1
    assert "cw-mqtt: cannot use the folder" in said.splitlines()[-1]
    assert "Traceback" not in said


@pytest.mark.parametrize("command", [["--help"], ["check-config"], ["decode", "00" * 16]])
def test_a_closed_pipe_is_no_traceback(config, command):
    with started(config, *command) as process:
        process.stdout.close()  # as `head` does

        process.wait(DEADLINE_S)

        assert process.stderr.read() == ""


def test_ctrl_c_ends_the_bridge_cleanly(tmp_path):
    bridge = Bridge(tmp_path, {"receivers": [{"name": "hall", "port": "simulated:"}]})
    bridge.stop_signal = signal.SIGINT
    bridge.start()

    bridge.stop()

    assert bridge.exit_code == 0
    assert bridge.log_file.read_text().endswith("stopped\n")


def test_a_second_ctrl_c_does_not_break_off_the_end(tmp_path):
    web = {"host": HOST, "port": free_port()}
    with started(write_config(tmp_path, web=web), "run") as process:
        while "sensors" not in process.stderr.readline():
            pass
        wait_until(lambda: (tmp_path / "data" / "citizenwatt.sqlite").exists())
        process.send_signal(signal.SIGINT)

        code, said = press_ctrl_c(process)

    assert code == 0
    assert said.endswith("stopped\n")
    assert "Traceback" not in said


def test_a_terminal_that_is_closed_ends_the_bridge(tmp_path):
    keyboard, terminal = pty.openpty()
    web = {"host": HOST, "port": free_port()}
    with started(write_config(tmp_path, web=web), "run", stdin=terminal) as process:
        wait_until((tmp_path / "data" / "citizenwatt.sqlite").exists)

        process.send_signal(signal.SIGHUP)

        assert process.wait(DEADLINE_S) == 0
    os.close(keyboard)
    os.close(terminal)


def test_a_running_bridge_is_backed_up_and_not_restored(tmp_path, bridge):
    config, backup = bridge.config, tmp_path / "backup.zip"

    backed_up = call(config, "backup", backup)
    restored = call(config, "restore", backup, "--replace")

    assert backed_up.stdout == f"{backup} is written, and was read back.\n"
    assert backed_up.exit_code == 0
    assert restored.exit_code == 2
    assert "is in use by process" in restored.stderr


def test_checking_the_config_imports_no_library_that_it_does_without(config):
    assert heavy_modules_of("--config", config, "check-config") == set()


def test_the_list_of_commands_names_all_and_imports_none_of_them(config):
    listed = call(config, "--help").stdout

    assert [name for name in COMMANDS if f"  {name} " not in listed] == []
    assert heavy_modules_of("--help") == set()


def test_decoding_a_packet_imports_no_library_that_it_does_without(config):
    assert heavy_modules_of("--config", config, "decode", "00" * 16) == set()


def test_wrong_sums_are_found_and_mended(config, tmp_path):
    home = Home(tmp_path / "data", None)
    home.hear(reading(0), reading(8), reading(90_000))
    home.store()
    home.tell("UPDATE rollups SET day_j = 7 WHERE span_s = 3600")

    wrong = call(config, "rollups", "check")
    told = json.loads(call(config, "rollups", "check", "--json").stdout)
    call(config, "rollups", "rebuild")
    mended = call(config, "rollups", "check")

    assert (wrong.exit_code, mended.exit_code) == (1, 0)
    assert "wrong sums: 1; cw-mqtt rollups rebuild repairs them" in wrong.stderr
    assert [cell["seconds"] for cell in told] == [3600]
    home.close()


def test_sessions_are_listed_and_ended(config, tmp_path):
    call(config, "user", "add", "ada", "--password", "long enough")
    engine = make_engine(DatabaseSettings(), tmp_path / "data")
    accounts = Accounts(engine)
    for key in ("one", "two", "three"):
        accounts.begin_session(accounts.find("ada"), key, "192.0.2.7", "Firefox on Linux")

    listed = call(config, "user", "sessions", "ada").stdout
    call(config, "user", "sessions", "ada", "--end", "2")
    left = json.loads(call(config, "user", "sessions", "ada", "--json").stdout)
    ended = call(config, "user", "sessions", "ada", "--end", "all").stdout
    wrong = call(config, "user", "sessions", "ada", "--end", "some")

    assert "192.0.2.7  Firefox on Linux" in listed
    assert [session["number"] for session in left] == [1, 3]
    assert ended == "Sessions of ada ended: 2.\n"
    assert wrong.exit_code == 2
    engine.dispose()


def test_what_was_deleted_is_listed_and_brought_back(config, tmp_path):
    home = Home(tmp_path / "data", None)
    home.hear(reading(0), reading(8), reading(16))
    home.store()
    home.delete(Range(1, Key.POSITION, -2, 0))

    listed = call(config, "undelete", "--list").stdout
    (told,) = json.loads(call(config, "undelete", "--list", "--json").stdout)
    back = call(config, "undelete", "1")
    again = call(config, "undelete", "1")

    assert "ada  192.0.2.7" in listed
    assert told["measures"] == 2
    assert back.stdout == "Measures that are back: 2.\n"
    assert home.stored() == [0, 8, 16]
    assert again.exit_code == 2
    assert "already back" in again.stderr
    assert call(config, "undelete").exit_code == 2
    home.close()


def test_streams_that_are_closed_give_their_numbers_to_no_file(tmp_path):
    config = write_config(tmp_path, web="off")
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", CW_MQTT, "--config", config, "run"]

    with subprocess.Popen(command) as process:
        wait_until((tmp_path / "data" / "citizenwatt.sqlite").exists)
        streams = [str(Path(f"/proc/{process.pid}/fd/{n}").readlink()) for n in range(3)]
        process.terminate()

    assert streams == ["/dev/null"] * 3
    assert process.returncode == 0


def test_what_is_imported_later_is_not_taken_from_the_working_folder(tmp_path):
    (tmp_path / "alembic").mkdir()
    (tmp_path / "alembic" / "__init__.py").write_text("raise SystemExit('not this one')")
    command = [sys.executable, "-m", "cw_mqtt", "--config", write_config(tmp_path), "user", "list"]

    listed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (listed.returncode, listed.stderr) == (0, "")
