from cw_mqtt.store.bulk import insert_history
from cw_mqtt.store.measures import count_measures
from tests.home import MAX_GAP_S
from tests.store.test_rollups import assert_right


def test_history_is_written_whole_and_told_as_it_goes(home):
    home.store()
    points = [(8 * i, 100.0 + i, i % 2 == 0) for i in range(25_000)]
    progress = []

    insert_history(home.engine, 1, points, MAX_GAP_S, progress.append)

    rows = home.ask("SELECT timestamp, value, night_rate = 1 FROM measures ORDER BY timestamp")
    assert [(ts, w, bool(night)) for ts, w, night in rows] == points
    assert progress == [10_000, 20_000, 25_000]
    assert count_measures(home.engine) == 25_000
    assert_right(home)
