"""From one database to another, while the bridge runs."""

import json
from contextlib import closing

import pytest

from tests.command import call
from tests.end_to_end.process import SQLITE_ONLY, Subscriber, rows
from tests.end_to_end.test_survival import Sensor
from tests.waiting import wait_until


@pytest.fixture
def sensor(board):
    sensor = Sensor(board)
    sensor.start()
    yield sensor
    sensor.stopping.set()
    sensor.join()


def name_database(config, url):
    settings = json.loads(config.read_text())
    config.write_text(json.dumps({**settings, "database": {"url": url} if url else {}}))


def reason(running):
    """Why nothing is stored; nothing while the bridge takes up its settings."""
    try:
        return running.health()["stages"]["database"]["reason"] or ""
    except OSError:
        return ""


@SQLITE_ONLY
def test_the_history_is_brought_along_while_everything_runs(
    tmp_path, bridge, sensor, broker, postgres_url, database_url
):
    config, backup = tmp_path / "config.yaml", tmp_path / "all.zip"
    running = bridge()
    running.start()
    with closing(Subscriber(broker.host, broker.port, "citizenwatt/main/+")) as subscriber:
        wait_until(lambda: running.works("database") and subscriber.newest_w() > 20)

        assert call(config, "backup", backup).exit_code == 0
        name_database(config, postgres_url)
        waiting = wait_until(lambda: "history" in reason(running) and reason(running))
        assert call(config, "restore", backup).exit_code == 0
        wait_until(lambda: running.works("database", "mqtt"))

        before = sensor.sent
        wait_until(lambda: subscriber.newest_w() > before)
        running.stop()
        published_w = {float(text) for text in subscriber.payloads("citizenwatt/main/power")}
        totals_kwh = [float(text) for text in subscriber.payloads("citizenwatt/main/energy")]

    stored_w = [power_w for (power_w,) in rows(tmp_path, postgres_url, "value")]
    assert str(tmp_path / "data" / "citizenwatt.sqlite") in waiting
    assert "cw-mqtt restore FILE" in waiting
    assert len(stored_w) == len(set(stored_w))
    assert published_w <= set(stored_w)
    assert totals_kwh == sorted(totals_kwh)


@SQLITE_ONLY
def test_a_bridge_may_be_told_to_begin_without_its_history(
    tmp_path, bridge, sensor, broker, postgres_url, database_url
):
    config = tmp_path / "config.yaml"
    running = bridge()
    running.start()
    wait_until(lambda: running.works("database"))
    name_database(config, postgres_url)
    wait_until(lambda: "--empty" in reason(running))

    assert call(config, "restore", "--empty").exit_code == 0

    wait_until(lambda: running.works("database"))
    running.stop()
    stored_w = [power_w for (power_w,) in rows(tmp_path, postgres_url, "value")]
    assert len(stored_w) == len(set(stored_w)) > 0
    assert call(config, "restore", "--empty").exit_code == 2
