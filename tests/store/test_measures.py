from cw_mqtt.model import StoredMeasure
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.measures import (
    count_measures,
    history,
    insert_history,
    newest_measures,
)
from tests.store.home import START_TS, reading


def test_the_newest_measure_of_each_sensor_is_told(home):
    home.name_sensors({"main": "CitizenWatt", "garage": "Garage", "silent": "Cave"})
    home.hear(reading(9), reading(5), reading(7, "garage", night=True))

    home.store()

    assert newest_measures(home.engine) == {
        "main": StoredMeasure(1, 1, START_TS + 9, 500.5, 0),
        "garage": StoredMeasure(3, 2, START_TS + 7, 500.5, 1),
    }


def test_history_is_written_whole_and_told_as_it_goes(home):
    home.store()
    points = [(8 * i, 100.0 + i, i % 2 == 0) for i in range(25_000)]
    progress = []

    insert_history(home.engine, 1, points, progress.append)

    with transaction(home.engine) as connection:
        assert list(history(connection, 1)) == points
    assert progress == [10_000, 20_000, 25_000]
    assert count_measures(home.engine) == 25_000


def test_an_id_is_never_given_twice(home):
    home.hear(reading(1), reading(2))
    home.store()
    home.tell("DELETE FROM measures WHERE id = 2")
    home.hear(reading(3))

    home.store()

    assert home.ask("SELECT id FROM measures ORDER BY id") == [(1,), (3,)]
