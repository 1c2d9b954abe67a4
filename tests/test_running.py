import warnings
from typing import Any

import pytest

from cw_mqtt.running import config_hash
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
