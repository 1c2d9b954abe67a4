"""The installed program as its own process, and what stands around it."""

import json
import os
import signal
import sqlite3
import sys
import threading
import tty
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import psycopg2
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.packets import KEY
from tests.program import HOST, Program, free_port
from tests.waiting import DEADLINE_S

CW_MQTT = Path(sys.executable).with_name("cw-mqtt")
SQLITE_ONLY = pytest.mark.parametrize("database_url", [None])
QUERY = "SELECT {columns} FROM {table} ORDER BY id"


class Board:
    """The receiver board: bytes written to it arrive at a serial port."""

    def __init__(self) -> None:
        self._board, self._port = os.openpty()
        tty.setraw(self._port)
        os.set_blocking(self._board, False)

    @property
    def port(self) -> str:
        """The serial port to name in the settings."""
        return os.ttyname(self._port)

    def send(self, content: bytes) -> None:
        """Write bytes; what the full port cannot take is lost, as on a cable."""
        try:
            os.write(self._board, content)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Unplug it."""
        os.close(self._board)
        os.close(self._port)


class Bridge(Program):
    """`cw-mqtt run` with settings of its own, in `config`; started when its web page answers."""

    def __init__(self, folder: Path, settings: dict[str, Any], **run_as: Any) -> None:
        port = free_port()
        settings = {
            "timezone": "Europe/Paris",
            "data_dir": str(folder / "data"),
            "sensors": [{"slug": "main", "name": "CitizenWatt", "key": KEY.hex()}],
            "web": {"host": HOST, "port": port},
            **settings,
        }
        self.config = folder / "config.yaml"
        self.config.write_text(json.dumps(settings))  # JSON is YAML
        super().__init__([CW_MQTT, "--config", self.config, "run"], folder, port, **run_as)

    def kill(self) -> None:
        """End it at once, as the system does when memory runs out."""
        self._end(signal.SIGKILL)

    def health(self) -> dict[str, Any]:
        """What `/health` says."""
        url = f"http://{HOST}:{self.port}/health"
        try:
            answer = urllib.request.urlopen(url, timeout=DEADLINE_S)
        except urllib.error.HTTPError as degraded:
            answer = degraded
        with answer:
            report: dict[str, Any] = json.load(answer)
        assert answer.status == (200 if report["status"] == "ok" else 503)
        return report

    def works(self, *stages: str) -> bool:
        """Whether these stages work."""
        states = self.health()["stages"]
        return all(states[stage]["state"] == "working" for stage in stages)


class Subscriber:
    """Hears everything that is published, and remembers it in order."""

    def __init__(self, host: str, port: int, topic: str = "#") -> None:
        self.messages: list[tuple[str, str]] = []
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._note
        self._client.connect(host, port)
        self._client.loop_start()
        assert self._subscribed.wait(DEADLINE_S)

    def payloads(self, topic: str) -> list[str]:
        """Every payload of one topic, in order, but for the empty ones that remove it."""
        return [text for each, text in list(self.messages) if each == topic and text]

    def newest_w(self) -> float:
        """The newest power of sensor `main`, 0 before the first."""
        return float((["0", *self.payloads("citizenwatt/main/power")])[-1])

    def publish(self, topic: str, text: str) -> None:
        """Publish as another client, and wait until the broker has it."""
        self._client.publish(topic, text, qos=1).wait_for_publish(DEADLINE_S)

    def close(self) -> None:
        """Leave the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def _note(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        self.messages.append((message.topic, message.payload.decode()))


def retained(host: str, port: int) -> dict[str, str]:
    """Every retained topic of a broker, as a client that comes now gets them."""
    with closing(Subscriber(host, port)) as subscriber:
        marker = paho.Client(CallbackAPIVersion.VERSION2)
        marker.connect(host, port)
        marker.loop_start()
        marker.publish("test/marker", "x", qos=1).wait_for_publish(DEADLINE_S)
        heard = threading.Event()
        while not heard.wait(0.01) and ("test/marker", "x") not in subscriber.messages:
            pass
        marker.disconnect()
        marker.loop_stop()
    return {topic: text for topic, text in subscriber.messages if topic != "test/marker"}


def rows(
    folder: Path, database_url: str | None, columns: str, table: str = "measures"
) -> list[Any]:
    """Rows of a table of the bridge's database, in order of id."""
    query = QUERY.format(columns=columns, table=table)
    if database_url:
        with closing(psycopg2.connect(database_url)) as connection:
            cursor = connection.cursor()
            cursor.execute(query)
            return list(cursor.fetchall())
    with closing(sqlite3.connect(folder / "data" / "citizenwatt.sqlite")) as connection:
        return list(connection.execute(query))
