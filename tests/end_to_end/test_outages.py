"""What subscribers see of a bridge that is frozen, killed or asked to restart."""

import os
import signal
import sys
import time
from contextlib import closing

import pytest

from cw_mqtt.publish import client
from tests.amounts import amount
from tests.end_to_end.process import CW_MQTT, Bridge, Subscriber, retained
from tests.waiting import wait_until

PROTOCOLS = ("5", "3.1.1")
# The program, whose broker notices sooner that it is gone.
HURRIED = f"""
from cw_mqtt.commands import main
from cw_mqtt.publish import client, paho_setup
client.KEEPALIVE_S = {amount(3, torture=client.KEEPALIVE_S)}
client.WILL_DELAY_S = paho_setup.WILL_DELAY_S = {amount(1, torture=client.WILL_DELAY_S)}
main(prog_name="cw-mqtt")
"""


@pytest.fixture
def bridges(tmp_path, broker):
    """One for each version of MQTT, under base topics `home-5` and `home-3.1.1`."""
    made = []
    for protocol in PROTOCOLS:
        (tmp_path / protocol).mkdir()
        mqtt = {
            "host": broker.host,
            "port": broker.port,
            "protocol": protocol,
            "base_topic": f"home-{protocol}",
            "allow_requests": ["restart"],
        }
        receivers = [{"name": "hall", "port": "simulated:"}]
        bridge = Bridge(tmp_path / protocol, {"receivers": receivers, "mqtt": mqtt})
        # in the place of the installed program and of those that make it end with the tests
        start = bridge.command.index(str(CW_MQTT))
        bridge.command[start : start + 1] = [sys.executable, "-c", HURRIED]
        made.append(bridge)
    for bridge in made:
        bridge.start()
    yield made
    signal_all(made, signal.SIGCONT)  # a frozen one could not stop
    for bridge in made:
        bridge.stop()


@pytest.fixture
def subscriber(broker):
    with closing(Subscriber(broker.host, broker.port)) as subscriber:
        yield subscriber


def wait_for(subscriber, word):
    """Wait until both bridges say this of themselves."""
    wait_until(
        lambda: all(
            subscriber.payloads(f"home-{protocol}/bridge/state")[-1:] == [word]
            for protocol in PROTOCOLS
        )
    )


def signal_all(bridges, number):
    for bridge in bridges:
        os.kill(bridge.pid, number)


def test_a_frozen_and_a_killed_bridge_are_offline_and_come_back(bridges, subscriber, broker):
    wait_for(subscriber, "online")

    signal_all(bridges, signal.SIGSTOP)
    wait_for(subscriber, "offline")
    signal_all(bridges, signal.SIGCONT)
    wait_for(subscriber, "online")
    for bridge in bridges:
        bridge.kill()
    wait_for(subscriber, "offline")
    for bridge in bridges:
        bridge.start()
    wait_for(subscriber, "online")

    topics = retained(broker.host, broker.port)
    totals = [list(map(float, subscriber.payloads(f"home-{p}/main/energy"))) for p in PROTOCOLS]
    assert all(kwh and kwh == sorted(kwh) for kwh in totals)
    assert sum(topic.endswith("_main/config") for topic in topics) == len(PROTOCOLS)


def test_a_restart_that_is_asked_for_begins_a_new_run(bridges, subscriber):
    wait_for(subscriber, "online")
    before = [bridge.health()["started"] for bridge in bridges]
    began_ts = time.time()
    wait_until(lambda: time.time() > began_ts + 1)  # the start is told in whole seconds

    for protocol in PROTOCOLS:
        subscriber.publish(f"home-{protocol}/bridge/request/restart", "{}")

    wait_until(lambda: len(starts(subscriber)) >= 2 * len(PROTOCOLS))
    wait_for(subscriber, "online")
    wait_until(lambda: all(bridge.answers() for bridge in bridges))
    assert all(b.health()["started"] > a for a, b in zip(before, bridges, strict=True))


def starts(subscriber):
    """Every `bridge/info` of both."""
    return [
        text
        for protocol in PROTOCOLS
        for text in subscriber.payloads(f"home-{protocol}/bridge/info")
    ]
