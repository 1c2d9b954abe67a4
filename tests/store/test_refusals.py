import pytest
from sqlalchemy.exc import DBAPIError

from cw_mqtt.runtime.health import Health
from cw_mqtt.runtime.stages import MOST_SAID
from cw_mqtt.store.refusals import Refusals, store_by_halves

REFUSED = DBAPIError("", None, ValueError("too large"))


@pytest.mark.parametrize("bad", [set(), {0}, {3}, {2, 6}, set(range(7))], ids=str)
def test_all_but_the_refused_are_stored_in_order(bad):
    stored, refused = [], []

    def store(entries):
        if bad & set(entries):
            raise REFUSED
        stored.extend(entries)

    store_by_halves(range(7), store, lambda entry, _: refused.append(entry))

    assert stored == [number for number in range(7) if number not in bad]
    assert refused == sorted(bad)


def test_a_database_of_many_words_is_said_a_few_times_and_counted(caplog):
    health = Health()
    refusals = Refusals(health)

    for number in range(2 * MOST_SAID):
        refusals.note("a reading", DBAPIError("", None, ValueError(f"row {number}")))

    assert caplog.text.count("the database refuses") == MOST_SAID
    assert health.report()["database"]["refused"] == 2 * MOST_SAID
