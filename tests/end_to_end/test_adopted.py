"""The bridge on the settings that `adopt` wrote: the old history over HTTP, and in the total."""

import base64
import json
import urllib.request
from itertools import pairwise

import pytest

from tests.command import call
from tests.end_to_end.process import CW_MQTT, retained, rows
from tests.old_base import START_TS, make_old_base
from tests.program import HOST, Program, free_port
from tests.waiting import DEADLINE_S, wait_until

MEASURES = 20_000
MAX_GAP_S = 300


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def adopted(tmp_path, postgres_url, broker, port):
    """A running bridge, on an old base adopted in place; only its ports were changed by hand."""
    make_old_base(postgres_url, MEASURES)
    old, config = tmp_path / "old.json", tmp_path / "config.yaml"
    old.write_text(json.dumps({"port": port}))
    call(config, "adopt", "--database", postgres_url, "--old-config", old, "--yes")
    call(config, "user", "add", "ada", "--password", "lovelace")
    text = config.read_text().replace("fifo:/tmp/sensor", f"fifo:{tmp_path}/sensor")
    config.write_text(f"{text}\nmqtt: {{host: {broker.host}, port: {broker.port}}}\n")
    bridge = Program([CW_MQTT, "--config", config, "run"], tmp_path, port)
    bridge.start()
    yield bridge
    bridge.stop()


def get(port, path):
    credentials = base64.b64encode(b"ada:lovelace").decode()
    request = urllib.request.Request(
        f"http://{HOST}:{port}{path}", headers={"Authorization": f"Basic {credentials}"}
    )
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
        return json.load(answer)["data"]


def energy_kwh(points):
    """What measures carry in all, by the definition: (timestamp, power)."""
    joules = [
        (power_w + next_w) / 2 * (next_ts - ts)
        for (ts, power_w), (next_ts, next_w) in pairwise(sorted(points))
        if next_ts - ts <= MAX_GAP_S
    ]
    return sum(joules) / 3_600_000


def test_an_adopted_base_answers_and_goes_on_from_its_history(
    tmp_path, adopted, broker, port, postgres_url
):
    old_rows = rows(tmp_path, postgres_url, "sensor_id, timestamp, value, id")
    whole = [(ts, w) for sensor, ts, w, _ in old_rows if sensor == 7 and None not in (ts, w)]
    wait_until(lambda: "citizenwatt/citizenwatt/energy" in retained(broker.host, broker.port))

    sensors = get(port, "/api/sensors")
    until_ts = START_TS + 80
    answered = get(port, f"/api/7/get/watts/by_time/{START_TS}/{until_ts}")
    contract = get(port, "/api/energy_providers/current")
    total_kwh = float(retained(broker.host, broker.port)["citizenwatt/citizenwatt/energy"])

    assert [(s["id"], s["name"], s["type_id"]) for s in sensors] == [
        (3, "Chauffe-eau été", 4),
        (7, "CitizenWatt", 4),
        (9, 'Grenier "nord"', 4),
    ]
    assert [(m["id"], m["timestamp"], m["value"]) for m in answered] == [
        (i, ts, w)
        for sensor, ts, w, i in old_rows
        if sensor == 7 and w is not None and ts is not None and START_TS <= ts < until_ts
    ]
    assert (contract["id"], contract["start_night_rate"]) == (5, "22:15")
    assert total_kwh == pytest.approx(energy_kwh(whole), abs=0.001)
    assert total_kwh > 1
