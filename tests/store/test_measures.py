from tests.home import reading


def test_an_id_is_never_given_twice(home):
    home.hear(reading(1), reading(2))
    home.store()
    home.tell("DELETE FROM measures WHERE id = 2")
    home.hear(reading(3))

    home.store()

    assert home.ask("SELECT id FROM measures ORDER BY id") == [(1,), (3,)]
