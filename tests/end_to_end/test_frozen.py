"""What is said of a neighbour that is frozen: it gives no answer and no error."""

from tests.end_to_end.process import Bridge
from tests.waiting import wait_until

SIMULATED = {"receivers": [{"name": "hall", "port": "simulated:"}]}


def test_a_frozen_postgres_is_told_and_holds_up_neither_packets_nor_the_end(
    tmp_path, postgres_server
):
    bridge = Bridge(tmp_path, {**SIMULATED, "database": {"url": postgres_server.url}})
    bridge.start()
    wait_until(lambda: bridge.works("database", "bridge"))

    with postgres_server.frozen():
        # "no answer for 5 s" by a new connection, "does not answer" by one that is open
        wait_until(lambda: "answer" in (database(bridge)["reason"] or ""))
        heard = count_heard(bridge)
        wait_until(lambda: count_heard(bridge) > heard)
        bridge.stop()

    assert bridge.exit_code == 0


def database(bridge):
    return bridge.health()["stages"]["database"]


def count_heard(bridge):
    return sum(bridge.health()["sensors"]["main"]["heard"].values())
