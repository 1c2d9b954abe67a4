"""From the bytes of a receiver board to rows, topics and the energy total."""

import json
import time
from itertools import pairwise

from cw_mqtt.model import SILENCE_S
from tests.end_to_end.process import retained, rows
from tests.packets import payloads, powers
from tests.waiting import wait_until

BOOT_TEXT = b"CitizenWatt receiver\r\n"
SCALE = 1000  # so that a second makes watt hours
SENSOR = {"slug": "main", "name": "CitizenWatt", "key": bytes(range(16)).hex()}
BETWEEN_BURSTS_S = 2 * SILENCE_S


def damaged_capture():
    """The recorded stream as a bad cable brings it: the bursts, in pieces as they come."""
    sent = payloads()
    yield from ([BOOT_TEXT + sent[0]], [sent[1]], [sent[2][:5], sent[2][5:]])
    yield from ([payload] for payload in sent[3:8])
    yield [sent[8][:3] + sent[8][4:]]  # one byte lost
    yield from ([payload] for payload in sent[9:12])
    yield [b"\x8a\x00garbage\xff" + sent[12]]
    yield from ([payload] for payload in sent[13:])


def carried_kwh(measures):
    """What measures carry in all, by the definition: (timestamp, power)."""
    joules = sum((a + b) / 2 * (t1 - t0) for (t0, a), (t1, b) in pairwise(measures))
    return joules / 3_600_000


def test_a_damaged_stream_arrives_in_database_and_broker(
    tmp_path, bridge, board, broker, database_url
):
    running = bridge(sensors=[{**SENSOR, "power_scale": SCALE}])
    running.start()
    wait_until(lambda: running.works("receiver hall", "bridge", "mqtt", "database"))

    sent_bytes = 0
    for burst in damaged_capture():
        for piece in burst:
            board.send(piece)
            time.sleep(0.01)  # the pieces of a burst, as a USB adapter splits it
            sent_bytes += len(piece)
        wait_until(lambda: running.health()["receivers"]["hall"]["bytes"] == sent_bytes)  # noqa: B023 - used at once
        time.sleep(BETWEEN_BURSTS_S)
    last_w = powers()[-1] * SCALE
    wait_until(lambda: retained(broker.host, broker.port)["citizenwatt/main/power"] == str(last_w))
    running.stop()

    heard = [*powers()[:8], *powers()[9:]]
    measures = rows(tmp_path, database_url, "timestamp, value, night_rate")
    assert [power_w / SCALE for _, power_w, _ in measures] == heard[5:]
    settling = rows(tmp_path, database_url, "value, reason", "set_aside")
    assert settling == [(w * SCALE, "settling") for w in heard[:5]]
    topics = retained(broker.host, broker.port)
    expected_kwh = carried_kwh([(ts, power_w) for ts, power_w, _ in measures])
    assert expected_kwh > 0.1
    assert topics["citizenwatt/main/energy"] == f"{expected_kwh:.3f}"
    state = json.loads(topics["citizenwatt/main/state"])
    assert (state["power"], state["battery"]) == (last_w, 3.287)
    assert topics["citizenwatt/main/availability"] == "online"
    assert topics["citizenwatt/bridge/state"] == "offline"  # it was stopped
    device = next(text for topic, text in topics.items() if topic.endswith("_main/config"))
    assert json.loads(device)["components"]["energy"]["unit_of_measurement"] == "kWh"
