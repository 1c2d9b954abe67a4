import pytest

from cw_mqtt.errors import UsageError


def rows(home):
    return home.ask(
        "SELECT l.slug, s.id, s.name FROM sensors s JOIN sensor_slugs l ON l.sensor_id = s.id "
        "ORDER BY s.id, l.slug"
    )


def test_a_new_sensor_gets_a_row_of_the_type_electricity(home):
    home.store()

    types = home.ask("SELECT t.name FROM sensors s JOIN measures_types t ON t.id = s.type_id")
    assert rows(home) == [("main", 1, "CitizenWatt")]
    assert types == [("Électricité",)]


def test_a_renamed_sensor_keeps_its_id(home):
    home.store()
    home.name_sensors({"main": "Maison d'été"})

    home.store()

    assert rows(home) == [("main", 1, "Maison d'été")]


def test_two_sensors_can_swap_their_names(home):
    home.name_sensors({"a": "Cave"})
    home.store()
    home.name_sensors({"a": "Cave", "b": "Grenier"})
    home.store()
    home.name_sensors({"a": "Grenier", "b": "Cave"})

    home.store()

    assert rows(home) == [("a", 1, "Grenier"), ("b", 2, "Cave")]


def test_a_sensor_cannot_take_the_name_of_another_one_in_the_database(home):
    home.name_sensors({"a": "Cave"})
    home.store()
    home.name_sensors({"b": "Grenier"})
    home.store()
    home.name_sensors({"b": "Cave"})

    with pytest.raises(UsageError, match=r"'Cave' is that of another sensor .*number 1"):
        home.store()

    assert rows(home) == [("a", 1, "Cave"), ("b", 2, "Grenier")]


def test_a_new_slug_with_a_known_name_continues_that_sensor(home):
    home.store()
    home.name_sensors({"house": "CitizenWatt"})

    home.store()

    assert rows(home) == [("house", 1, "CitizenWatt"), ("main", 1, "CitizenWatt")]
