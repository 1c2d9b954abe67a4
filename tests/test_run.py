import warnings
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import cherrypy
import pytest

from cw_mqtt import run as running
from cw_mqtt.config.settings import Settings
from cw_mqtt.errors import InUseError, ResourceAwayError
from cw_mqtt.journal.journal import Journal
from cw_mqtt.run import config_hash
from cw_mqtt.runtime.stages import Stages
from tests.command import write_config
from tests.settings import NIGHT_CONTRACT, SENSOR, settings


def test_settings_that_are_the_same_have_the_same_hash(tmp_path):
    with warnings.catch_warnings(action="error"):
        hashes = {config_hash(settings(tmp_path, providers=[NIGHT_CONTRACT])) for _ in range(2)}

    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"mqtt": {"host": "broker.local"}}, False),
        ({"sensors": [{**SENSOR, "name": "Flat"}]}, False),
        ({"sensors": [{**SENSOR, "key": "ff" * 16}]}, True),
    ],
)
def test_another_setting_changes_the_hash_but_no_secret_does(tmp_path, change: Any, same: bool):
    before, after = settings(tmp_path), settings(tmp_path, **change)

    assert (config_hash(before) == config_hash(after)) is same


@pytest.fixture
def signals() -> Iterator[None]:
    """Gives the signals back to those who had them."""
    yield
    cherrypy.engine.signal_handler.unsubscribe()


@pytest.mark.usefixtures("signals")
def test_settings_that_cannot_begin_leave_the_ones_before(tmp_path, monkeypatch):
    right, wrong = settings(tmp_path), settings(tmp_path, timezone="Asia/Tokyo")
    wishes, begun = iter([wrong, None]), []

    def make_stages(these: Settings, *others: Any) -> Stages:
        begun.append(these)
        if these is wrong:
            raise ResourceAwayError("the disk is full")
        again = others[-2]
        again.func(next(wishes))
        return Stages([])

    monkeypatch.setattr(running, "make_stages", make_stages)
    running.run(right, tmp_path, write_config(tmp_path))

    assert begun == [right, wrong, right]


@pytest.mark.usefixtures("signals")
def test_settings_that_cannot_begin_at_the_start_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "set_up_logs", lambda _: None)  # those of the tests stay

    with closing(Journal(tmp_path)), pytest.raises(InUseError):
        running.run(settings(tmp_path), tmp_path)
