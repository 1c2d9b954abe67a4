"""From nothing to the first measure."""

from collections.abc import Callable

import pytest

from cw_mqtt.journal.journal import Journal
from cw_mqtt.model import SensorState
from cw_mqtt.runtime.health import Health
from tests.home import reading
from tests.web.site import NOW_TS, Site

MakeSite = Callable[..., Site]


def nothing(health: Health) -> None:
    health.waiting("receiver hall", "no such port")


def plugged_in(health: Health) -> None:
    health.working("receiver hall")


def wrong_key(health: Health) -> None:
    plugged_in(health)
    health.show("receivers", "hall", "undecryptable", value=15)


def right_key(health: Health) -> None:
    plugged_in(health)
    health.show("sensors", "main", "held", value=1)


@pytest.mark.parametrize(
    ("happened", "done", "words"),
    [
        (nothing, 0, "Plug it into USB"),
        (plugged_in, 1, "is its battery in"),
        (wrong_key, 2, "compare the sensor"),
        (right_key, 3, "after about 20 seconds"),
    ],
)
def test_each_step_is_seen_and_the_next_one_explained(
    make_site: MakeSite, health: Health, happened: Callable[[Health], None], done: int, words: str
) -> None:
    happened(health)

    page = make_site().wait().call("/").text

    assert page.count('class="done"') == done
    assert words in page
    assert f'data-step="{done}"' in page


def test_packets_that_no_key_opens_are_told_first(make_site: MakeSite, health: Health) -> None:
    wrong_key(health)

    page = make_site().wait().call("/").text

    assert "No sensor heard: 15 packets that no key opens. Compare the key" in page


def test_the_first_measure_ends_it(make_site: MakeSite, journal: Journal, health: Health) -> None:
    plugged_in(health)
    latest = reading(int(NOW_TS) - 5 - reading(0).ts)
    journal.commit([SensorState("main", latest=latest, seen_ts=NOW_TS - 5)])

    page = make_site().wait().call("/").text

    assert "measured 5 s ago" in page
    assert 'data-step="4"' in page
