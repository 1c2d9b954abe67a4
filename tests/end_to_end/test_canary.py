"""Secrets of every kind are put into the settings, and looked for in everything that comes out."""

import base64
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from tests.command import call
from tests.end_to_end.process import SQLITE_ONLY, Bridge, Subscriber
from tests.packets import KEY, payloads
from tests.waiting import DEADLINE_S, wait_until

PREVIOUS_KEY = bytes(range(0xA0, 0xB0))
SECRETS = {
    "key": KEY.hex(),
    "previous key": PREVIOUS_KEY.hex(),
    "key as numbers": "-".join(map(str, KEY)),
    "environment": "canary-environment-4711",
    "file": "canary-file-4712",
    "url": "canary-url-4713",
    "settings": "canary-settings-4714",
    "login": "canary-login-4715",
}
PAGES = ("/health", "/", "/api/sensors", "/api/providers", "/nothing", "/api/nothing?key=x")


def forms(secret: str) -> set[str]:
    """A secret as it is, and as programs may disguise it."""
    return {secret, secret.upper(), base64.b64encode(secret.encode()).decode(), secret[::-1]}


def leaked(text: str) -> set[str]:
    """The names of the secrets that a text gives away."""
    return {name for name, secret in SECRETS.items() if any(f in text for f in forms(secret))}


def fetch(bridge: Bridge, path: str, **headers: str) -> str:
    """A page, or an error's page, with its headers."""
    request = urllib.request.Request(f"http://{bridge.host}:{bridge.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return f"{answer.headers}{answer.read().decode()}"
    except urllib.error.HTTPError as error:
        return f"{error.headers}{error.read().decode()}"


def cw_mqtt(bridge: Bridge, *command: str) -> str:
    """Everything that a command says."""
    return call(bridge.config, *command).output


def write_secrets(bridge: Bridge, folder: Path) -> None:
    """Take the passwords of `bridge` out of its settings, into a file and the environment."""
    (folder / "broker-password").write_text(SECRETS["file"])
    config = folder / "config.yaml"
    text = config.read_text().replace('"FILE"', f"!file {folder / 'broker-password'}")
    config.write_text(text.replace('"ENVIRONMENT"', "!env CANARY"))


@SQLITE_ONLY
def test_no_secret_is_in_anything_that_a_run_says(
    tmp_path, bridge, board, broker, database_url, monkeypatch
):
    monkeypatch.setenv("CANARY", SECRETS["environment"])
    keys = {"key": SECRETS["key"], "previous_keys": [SECRETS["previous key"]]}
    account = {"username": "cw", "password": "FILE", "allow_requests": ["discovery/republish"]}
    running = bridge(
        sensors=[{"slug": "main", "name": "CitizenWatt", **keys}],
        database={"url": "postgresql://cw@127.0.0.1:1/cw", "password": "ENVIRONMENT"},
        mqtt={"host": broker.host, "port": broker.port, **account},
        logging={"level": "debug"},
    )
    write_secrets(running, tmp_path)

    running.start()
    with closing(Subscriber(broker.host, broker.port)) as subscriber:
        wait_until(lambda: running.works("receiver hall", "mqtt"))
        for payload in payloads()[:8]:
            board.send(payload)
        for verb in ("health_check", "discovery/republish", "restart", "nonsense"):
            subscriber.publish(f"citizenwatt/bridge/request/{verb}", "{}")
        wait_until(lambda: len(answers(subscriber)) == 4)
        wait_until(lambda: not running.works("database"))
        login = base64.b64encode(f"ada:{SECRETS['login']}".encode()).decode()
        pages = [fetch(running, page, Authorization=f"Basic {login}") for page in PAGES]
        said = [cw_mqtt(running, "check-config"), cw_mqtt(running, "key", "fingerprint")]
        running.stop()
        topics = [f"{topic} {text}" for topic, text in subscriber.messages]

    texts = ["\n".join(topics), running.log_file.read_text(), *pages, *said]
    assert len(topics) > 10
    assert all(texts)
    assert [leaked(text) for text in texts] == [set()] * len(texts)


def answers(subscriber):
    return {topic for topic, _ in subscriber.messages if "/bridge/response/" in topic}


@pytest.mark.parametrize(
    "mistake",
    [
        {"sensors": [{"slug": "main", "name": "x", "key": SECRETS["key"] + "0"}]},
        {"sensors": [{"slug": "main", "name": "x", "kye": SECRETS["key"]}]},
        {"mqtt": {"passwrd": SECRETS["settings"]}},
        {"mqtt": {"password": [SECRETS["settings"]]}},
        {"database": {"url": f"mysql://cw:{SECRETS['url']}@host/cw"}},
        {"database": {"url": f"postgresql://cw:{SECRETS['url']}@host:x/cw"}},
    ],
)
def test_no_secret_is_in_what_is_said_of_a_mistake(tmp_path, mistake):
    bridge = Bridge(tmp_path, {"receivers": [{"name": "hall", "port": "simulated:"}], **mistake})

    said = cw_mqtt(bridge, "check-config") + cw_mqtt(bridge, "check-config", "--json")

    assert "mistake" in said
    assert leaked(said) == set()


@pytest.mark.parametrize("form", [str.upper, str.lower, lambda text: f"[{text}]"])
def test_a_leak_would_be_found(form):
    assert leaked(form(f"a log with {SECRETS['key']} in it")) == {"key"}
