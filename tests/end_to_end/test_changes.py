"""A change over HTTP, as those hear of it who watch the broker and the log."""

import base64
import json
import urllib.request
from contextlib import closing

from tests.command import call
from tests.end_to_end.process import SQLITE_ONLY, Bridge, Subscriber
from tests.waiting import DEADLINE_S, wait_until


def change(bridge: Bridge, path: str) -> object:
    """What the API answers to ada."""
    credentials = base64.b64encode(b"ada:long enough").decode()
    request = urllib.request.Request(
        f"http://{bridge.host}:{bridge.port}/api/1/{path}",
        headers={"Authorization": f"Basic {credentials}"},
    )
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
        return json.load(answer)["data"]


@SQLITE_ONLY
def test_a_change_is_told_over_mqtt_and_logged_and_a_deletion_taken_back(bridge, broker):
    running = bridge()
    running.start()
    call(running.config, "user", "add", "ada", "--password", "long enough")
    with closing(Subscriber(broker.host, broker.port, "citizenwatt/bridge/event")) as subscriber:
        wait_until(lambda: running.works("mqtt", "database"))

        assert change(running, "insert/100/1795215600/0") is True
        assert change(running, "delete/by_time/0/9999999999") == 1
        back = call(running.config, "undelete", "1")

        wait_until(lambda: len(subscriber.messages) == 2)
    told = [json.loads(payload) for _, payload in subscriber.messages]
    running.stop()

    assert [event["type"] for event in told] == ["measures_inserted", "measures_deleted"]
    assert "ada (127.0.0.1) deleted 1 measure of sensor 1" in told[1]["text"]
    assert all(event["text"] in running.log_file.read_text() for event in told)
    assert back.stdout == "Measures that are back: 1.\n"
