"""The API, line by line, over real HTTP on both databases.

Each test has a sensor of its own with six measures (`POINTS`). The last one comes after a gap
and carries nothing; the others carry 0, 1200 and 2000 J by day, 2800 and 3600 J by night.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from cw_mqtt.model import Event
from cw_mqtt.store.deletions import all_deletions
from cw_mqtt.store.opening import prepare_database
from cw_mqtt.store.web_queries import WebQueries
from tests.settings import settings
from tests.web.house import AS_JSON, FORM, House
from tests.web.site import ADA, NOW_TS, Browser, Site

T = 1_795_215_600
POINTS = (
    *((T, 100.0, 0), (T + 8, 200.0, 0), (T + 16, 300.0, 0)),
    *((T + 24, 400.0, 1), (T + 32, 500.0, 1), (T + 1000, 600.0, -1)),
)
ENORMOUS = "9" * 5000
MULTIPART = (
    '--xx\r\nContent-Disposition: form-data; name="login"\r\n\r\nada\r\n'
    f"--xx\r\ncontent-disposition: form-data; name=password\r\n\r\n{ADA[1]}\r\n--xx--"
)


@dataclass(frozen=True, slots=True)
class Filled:
    """The house, and a sensor of the test's own in it."""

    house: House
    sensor: int
    ids: list[int]

    def path(self, path: str) -> str:
        """A path with `{s}` the sensor, `{a}` to `{f}` its ids, `{x}` another's, `{t}` the time."""
        letters = dict(zip("abcdef", self.ids, strict=False))
        return "/api" + path.format(s=self.sensor, t=T, x=self.ids[2] + 1, **letters)

    def get(self, path: str, status: int = 200) -> Any:
        """What both ways of asking answer."""
        got = self.house.get(self.path(path), status)
        assert self.house.post(self.path(path), status) == got
        return got

    def measure(self, place: int) -> dict[str, float]:
        ts, value, night = POINTS[place]
        return {
            "id": self.ids[place],
            "sensor_id": self.sensor,
            "value": value,
            "timestamp": ts,
            "night_rate": max(night, 0),
        }

    def left(self) -> list[int]:
        """The places of the measures that are still there."""
        found = self.house.get(f"/api/{self.sensor}/get/watts/by_id/-100/0")["data"] or []
        return [self.ids.index(measure["id"]) for measure in found]


@pytest.fixture
def filled(house: House) -> Filled:
    """A sensor with `POINTS`, and one of another sensor in the middle of its ids."""
    sensor, other = house.sensor(), house.sensor()
    ids = house.add(sensor, *POINTS[:3])
    house.add(other, (T + 20, 7.0, 0))
    return Filled(house, sensor, ids + house.add(sensor, *POINTS[3:]))


def parts(day: float, night: float, factor: float = 1) -> dict[str, float]:
    """An answer in tariffs."""
    return {"value": (day + night) * factor, "day_rate": day * factor, "night_rate": night * factor}


def kwh(day_j: float, night_j: float) -> dict[str, float]:
    return parts(day_j, night_j, 1 / 3_600_000)


def euros(day_j: float, night_j: float) -> dict[str, float]:
    return {"value": (day_j * 0.2 + night_j * 0.1) / 3_600_000}


def rounded(answer: Any) -> Any:
    """An answer whose floats compare."""
    if isinstance(answer, dict):
        return {name: rounded(value) for name, value in answer.items()}
    if isinstance(answer, list):
        return [rounded(item) for item in answer]
    return round(answer, 12) if isinstance(answer, float) else answer


@pytest.mark.parametrize(
    ("path", "places"),
    [
        ("/{s}/get/watts/by_id/{a}", 0),
        ("/{s}/get/watts/by_id/{f}", 5),
        ("/{s}/get/watts/by_id/{x}", None),
        ("/{s}/get/watts/by_id/0", None),
        ("/{s}/get/watts/by_id/-1", 5),
        ("/{s}/get/watts/by_id/-6", 0),
        ("/{s}/get/watts/by_id/-7", None),
        (f"/{{s}}/get/watts/by_id/{ENORMOUS}", None),
        (f"/{{s}}/get/watts/by_id/-{ENORMOUS}", None),
        ("/{s}/get/watts/by_id/{a}/{a}", None),
        ("/{s}/get/watts/by_id/0/0", None),
        ("/{s}/get/watts/by_id/-0/0", None),
        ("/{s}/get/watts/by_id/{a}/{f}", [0, 1, 2, 3, 4]),
        ("/{s}/get/watts/by_id/{c}/{d}", [2]),
        ("/{s}/get/watts/by_id/{x}/{d}", None),
        ("/{s}/get/watts/by_id/-5/0", [1, 2, 3, 4, 5]),
        ("/{s}/get/watts/by_id/-5/-1", [1, 2, 3, 4]),
        ("/{s}/get/watts/by_id/-500/-5", [0]),
        ("/{s}/get/watts/by_id/-500/-6", None),
        ("/{s}/get/watts/by_time/{t}", 0),
        ("/{s}/get/watts/by_time/{t}.0", 0),
        ("/{s}/get/watts/by_time/{t}.9", None),
        ("/{s}/get/watts/by_time/{t}.00000000000001", None),
        ("/{s}/get/watts/by_time/" + "9" * 400, None),
        ("/{s}/get/watts/by_time/{t}." + "0" * 400, 0),
        ("/{s}/get/watts/by_time/{t}.00000001/1795215608.00000001", [1]),
        ("/{s}/get/watts/by_time/1", None),
        ("/{s}/get/watts/by_time/{t}/1795215616", [0, 1]),
        ("/{s}/get/watts/by_time/{t}.0000011/1795215616.5", [1, 2]),
        ("/{s}/get/watts/by_time/0/1795215600", None),
        ("/{s}/get/watts/by_time/{t}/{t}", None),
        ("/{s}/get/watts/by_time/{t}/" + "9" * 400, [0, 1, 2, 3, 4, 5]),
        ("/0/get/watts/by_id/-1", None),
        ("/-1/get/watts/by_id/-5/0", None),
        ("/0/get/watts/by_time/0/1", None),
        (f"/{ENORMOUS}/get/watts/by_time/0/1", None),
    ],
)
def test_measures_are_told_one_by_one_or_as_a_list(
    filled: Filled, path: str, places: int | list[int] | None
) -> None:
    expected = {
        int: lambda: filled.measure(places),
        list: lambda: [filled.measure(place) for place in places],
        type(None): lambda: None,
    }

    answer = filled.get(path)

    assert answer == {"data": expected[type(places)](), "rate": "day"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/{s}/get/kwatthours/by_id/{a}/{f}", kwh(3200, 6400)),
        ("/{s}/get/kwatthours/by_id/-6/0", kwh(3200, 6400)),
        ("/{s}/get/kwatthours/by_id/{c}/{e}", kwh(2000, 2800)),
        ("/{s}/get/kwatthours/by_id/-3/-1", kwh(0, 6400)),
        ("/{s}/get/kwatthours/by_id/{a}/{b}", kwh(0, 0)),
        ("/{s}/get/kwatthours/by_id/-1/0", kwh(0, 0)),
        ("/{s}/get/kwatthours/by_id/0/0", None),
        ("/{s}/get/kwatthours/by_id/{x}/{d}", None),
        ("/{s}/get/euros/by_id/{a}/{f}", euros(3200, 6400)),
        ("/{s}/get/euros/by_id/-3/-1", euros(0, 6400)),
        ("/{s}/get/euros/by_id/{x}/{d}", None),
        ("/{s}/get/kwatthours/by_time/{t}/1795219200", kwh(3200, 6400)),
        ("/{s}/get/kwatthours/by_time/1795215608.0/1795215616.5", kwh(3200, 0)),
        ("/{s}/get/kwatthours/by_time/1795215616/1795215624", kwh(2000, 0)),
        ("/{s}/get/kwatthours/by_time/{t}/{t}", None),
        ("/{s}/get/kwatthours/by_time/0/1795215600", None),
        ("/{s}/get/euros/by_time/{t}/1795219200", euros(3200, 6400)),
        ("/{s}/get/euros/by_time/0/1", None),
        ("/{s}/get/kwatthours/by_id/{a}/{d}/2", [kwh(1200, 0), kwh(2000, 0)]),
        ("/{s}/get/euros/by_id/{a}/{c}/1", [euros(0, 0), euros(1200, 0)]),
        ("/{s}/get/watts/by_id/{a}/{c}/1", [parts(100, 0), parts(150, 0)]),
        ("/{s}/get/watts/by_id/{c}/{e}/1", [parts(250, 0), None, parts(0, 350)]),
        ("/{s}/get/kwatthours/by_id/-4/0/3", [kwh(2000, 6400), kwh(0, 0)]),
        ("/{s}/get/kwatthours/by_id/-8/-4/2", [None, kwh(1200, 0)]),
        ("/{s}/get/watts/by_id/-2/-1/9", [parts(0, 450)]),
        ("/{s}/get/watts/by_id/-1/0/1", [parts(600, 0)]),
        ("/{s}/get/watts/by_id/{x}/{d}/1", None),
        ("/{s}/get/watts/by_id/-9/-7/1", None),
        (
            "/{s}/get/kwatthours/by_time/{t}/1795215640/16",
            [kwh(1200, 0), kwh(2000, 2800), kwh(0, 3600)],
        ),
        (
            "/{s}/get/watts/by_time/{t}/1795215640/8",
            [parts(100, 0), parts(150, 0), parts(250, 0), parts(0, 350), parts(0, 450)],
        ),
        ("/{s}/get/watts/by_time/{t}/1795215632/16", [parts(150, 0), parts(125, 175)]),
        (
            "/{s}/get/watts/by_time/1795215599.9779809/1795215611/4.0000001",
            [parts(100, 0), None, parts(150, 0)],
        ),
        ("/{s}/get/euros/by_time/{t}/1795216601/1000", [euros(3200, 6400), euros(0, 0)]),
        ("/{s}/get/watts/by_time/1/3/1", [None, None]),
        ("/0/get/watts/by_time/0/20/8", [None, None, None]),
    ],
)
def test_energy_cost_and_mean_power_are_what_the_measures_carry(
    filled: Filled, path: str, expected: Any
) -> None:
    answer = filled.get(path)

    assert rounded(answer) == rounded({"data": expected, "rate": "day"})


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        ("/{s}/delete/by_id/{b}", [1]),
        ("/{s}/delete/by_id/{x}", []),
        ("/{s}/delete/by_id/-1", [5]),
        ("/{s}/delete/by_id/-6", [0]),
        ("/{s}/delete/by_id/-7", []),
        ("/{s}/delete/by_id/{a}/{d}", [0, 1, 2]),
        ("/{s}/delete/by_id/0/0", []),
        (f"/{{s}}/delete/by_id/0/{ENORMOUS}", [0, 1, 2, 3, 4, 5]),
        ("/{s}/delete/by_id/-2/0", [4, 5]),
        ("/{s}/delete/by_id/-3/-1", [3, 4]),
        ("/{s}/delete/by_time/1795215608", [1]),
        ("/{s}/delete/by_time/1795215608.0", [1]),
        ("/{s}/delete/by_time/1795215608.4", []),
        ("/{s}/delete/by_time/1795215607.9999999", []),
        ("/{s}/delete/by_time/1795215609", []),
        ("/{s}/delete/by_time/1795215608.4/1795215608.6", []),
        ("/{s}/delete/by_time/{t}/1795215616", [0, 1]),
        ("/{s}/delete/by_time/{t}/{t}", []),
        ("/0/delete/by_id/-1", []),
    ],
)
@pytest.mark.parametrize("way", ["get", "post"])
def test_what_is_deleted_is_counted_and_gone_at_once(
    filled: Filled, path: str, gone: list[int], way: str
) -> None:
    answer = getattr(filled.house, way)(filled.path(path))

    assert answer == {"data": len(gone) or None, "rate": "day"}
    assert filled.left() == [place for place in range(6) if place not in gone]


def test_two_measures_of_one_second_are_both_kept_and_both_deleted(filled: Filled) -> None:
    filled.house.add(filled.sensor, (T, 50.0, 0))

    listed = filled.house.get(filled.path("/{s}/get/watts/by_time/{t}/1795215601"))["data"]
    deleted = filled.house.post(filled.path("/{s}/delete/by_time/{t}"))["data"]

    assert [measure["value"] for measure in listed] == [100, 50]
    assert deleted == 2


def test_a_deleted_measure_leaves_its_time_to_the_one_after_it(filled: Filled) -> None:
    filled.house.get(filled.path("/{s}/delete/by_id/{b}"))

    energy = filled.get("/{s}/get/kwatthours/by_id/{a}/{d}")["data"]

    assert rounded(energy) == rounded(kwh(16 * 200, 0))


@pytest.mark.parametrize(
    ("path", "value", "timestamp", "night"),
    [
        ("/{s}/insert/12.5/1795217000/0", 12.5, 1_795_217_000, 0),
        ("/{s}/insert/-3/1795217000/1", -3, 1_795_217_000, 1),
        ("/{s}/insert/1/1795217000/-7", 1, 1_795_217_000, 1),
        (f"/{{s}}/insert/1/1795217000/{ENORMOUS}", 1, 1_795_217_000, 1),
        ("/{s}/insert/5/253402300799/0", 5, 253_402_300_799, 0),
    ],
)
@pytest.mark.parametrize("way", ["get", "post"])
def test_what_is_inserted_is_there_at_once(
    filled: Filled, path: str, value: float, timestamp: int, night: int, way: str
) -> None:
    answer = getattr(filled.house, way)(filled.path(path))

    newest = filled.get("/{s}/get/watts/by_id/-1")["data"]
    assert answer == {"data": True, "rate": "day"}
    del newest["id"]
    assert newest == {
        "sensor_id": filled.sensor,
        "value": value,
        "timestamp": timestamp,
        "night_rate": night,
    }


def test_an_insertion_in_the_past_changes_what_the_measures_around_it_carry(
    filled: Filled,
) -> None:
    filled.house.get(filled.path("/{s}/insert/1000/1795215604/0"))

    energy = filled.get("/{s}/get/kwatthours/by_time/{t}/1795215612")["data"]
    late = filled.get("/{s}/get/watts/by_time/{t}/1795215612")["data"]

    assert rounded(energy) == rounded(kwh(550 * 4 + 600 * 4, 0))
    assert [measure["value"] for measure in late] == [100, 1000, 200]


@pytest.mark.parametrize(
    "path",
    [
        "/0/insert/1/1/0",
        "/-1/insert/1/1/0",
        f"/{ENORMOUS}/insert/1/1/0",
        "/{s}/insert/1/253402300800/0",
        f"/{{s}}/insert/1/{ENORMOUS}/0",
    ],
)
def test_an_insertion_that_is_not_possible_is_false(filled: Filled, path: str) -> None:
    assert filled.get(path) == {"data": False, "rate": "day"}


@pytest.mark.parametrize("path", ["get/watts/by_id/-1", "delete/by_id/-1", "insert/1/1795217000/0"])
def test_the_rate_is_that_of_now(filled: Filled, path: str) -> None:
    filled.house.night = True

    answer = filled.get(f"/{{s}}/{path}")

    filled.house.night = False
    assert answer["rate"] == "night"


def test_sensors_and_types_are_told(filled: Filled) -> None:
    main = {"id": 1, "name": "CitizenWatt", "type": "Électricité", "type_id": 1}

    assert main in filled.get("/sensors")["data"]
    assert filled.get("/sensors/1") == {"data": main}
    assert filled.get("/sensors/0") == {"data": None}
    assert filled.get("/sensors/-1") == {"data": None}
    assert filled.get("/types") == {"data": [{"id": 1, "name": "Électricité"}]}


def test_the_time_is_a_float_in_seconds(house: House) -> None:
    assert house.get("/api/time") == {"data": NOW_TS}
    assert isinstance(house.post("/api/time")["data"], float)


PROVIDER = {
    "id": 1,
    "name": "HP/HC",
    "type_id": 1,
    "day_slope_watt_euros": 0.2,
    "day_constant_watt_euros": 0.0,
    "night_slope_watt_euros": 0.1,
    "night_constant_watt_euros": 0.0,
    "current": 1,
    "threshold": 0,
    "start_night_rate": "22:30",
    "end_night_rate": "06:30",
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/energy_providers", [PROVIDER]),
        ("/energy_providers/current", PROVIDER),
        ("/energy_providers/1", PROVIDER),
        ("/energy_providers/10", None),
        ("/energy_providers/-1", None),
        ("/current/watt_to_euros/day/10", 2.0),
        ("/current/watt_to_euros/night/10.5", 1.05),
        ("/1/watt_to_euros/day/10", 2.0),
        ("/10/watt_to_euros/day/10", None),
        ("/-1/watt_to_euros/day/10", None),
        ("/1/watt_to_euros/day/-1", -0.2),
    ],
)
def test_contracts_and_costs_are_told(filled: Filled, path: str, expected: Any) -> None:
    assert rounded(filled.get(path)) == {"data": expected}


def test_a_flat_price_has_no_night_hours(house: House) -> None:
    house.tell("UPDATE providers SET night_slope_watt_euros = day_slope_watt_euros")

    told = house.get("/api/energy_providers/current")["data"]

    house.tell("UPDATE providers SET night_slope_watt_euros = 0.1")
    assert "start_night_rate" not in told
    assert "end_night_rate" not in told


def test_without_a_current_contract_there_is_no_cost(filled: Filled) -> None:
    filled.house.tell("UPDATE providers SET current = 0")

    answers = [
        filled.get(path)["data"]
        for path in (
            "/energy_providers/current",
            "/current/watt_to_euros/day/1",
            "/{s}/get/euros/by_id/{a}/{f}",
            "/{s}/get/euros/by_id/{a}/{b}/1",
        )
    ]

    filled.house.tell("UPDATE providers SET current = 1")
    assert answers == [None, None, None, None]


@pytest.mark.parametrize(
    ("path", "status", "named"),
    [
        ("/{s}/get/watts/by_id/{b}/{a}", 400, "id2"),
        ("/{s}/get/watts/by_id/-1/-2", 400, "id2"),
        ("/{s}/get/watts/by_id/-1/1", 400, "id1"),
        ("/{s}/get/watts/by_id/1/-1", 400, "id2"),
        ("/{s}/get/watts/by_id/0/500", 200, ""),
        ("/{s}/get/watts/by_id/0/501", 403, "id1"),
        ("/{s}/get/euros/by_id/-501/0", 403, "id1"),
        (f"/{{s}}/get/watts/by_id/0/{ENORMOUS}", 403, "id1"),
        (f"/{{s}}/get/watts/by_id/-{ENORMOUS}/0", 403, "id1"),
        ("/{s}/get/watts/by_id/0/501/100", 403, "id1"),
        ("/{s}/get/watts/by_id/{a}/{a}/1", 400, "id2"),
        ("/{s}/get/watts/by_id/{a}/{b}/0", 400, "step"),
        ("/{s}/get/watts/by_id/{a}/{b}/-1", 400, "step"),
        (f"/{{s}}/get/watts/by_id/{{a}}/{{b}}/{ENORMOUS}", 200, ""),
        ("/{s}/get/watts/by_time/-1", 400, "time1"),
        ("/{s}/get/watts/by_time/-0.00000001", 400, "time1"),
        ("/{s}/get/watts/by_time/1.2.3", 400, "time1"),
        ("/{s}/get/watts/by_time/.", 400, "time1"),
        ("/{s}/get/watts/by_time/-./1", 400, "time1"),
        ("/{s}/get/watts/by_time/-1/5", 400, "time1"),
        ("/{s}/get/watts/by_time/2/1", 400, "time2"),
        ("/{s}/get/watts/by_time/1/2.2.", 400, "time2"),
        ("/{s}/get/watts/by_time/1/-2", 400, "time2"),
        ("/{s}/get/watts/by_time/5/5/8", 400, "time2"),
        ("/{s}/get/watts/by_time/5/1/8", 400, "time2"),
        ("/{s}/get/watts/by_time/0/8/0", 400, "step"),
        ("/{s}/get/watts/by_time/0/8/-8", 400, "step"),
        ("/{s}/get/watts/by_time/0/8/0.0000000001", 400, "step"),
        ("/{s}/get/watts/by_time/0/8/0.000001", 403, "step"),
        ("/{s}/get/watts/by_time/0/10000/1", 200, ""),
        ("/{s}/get/watts/by_time/0/10001/1", 403, "step"),
        (f"/{{s}}/get/watts/by_time/0/{ENORMOUS}/86400", 403, "step"),
        (f"/{{s}}/get/watts/by_time/0/8/{ENORMOUS}", 200, ""),
        ("/{s}/delete/by_id/2/1", 400, "id2"),
        ("/{s}/delete/by_id/-1/1", 400, "id1"),
        ("/{s}/delete/by_time/-1", 400, "time1"),
        ("/{s}/delete/by_id/1.0", 404, ""),
        ("/{s}/get/watts/by_id/1.5", 404, ""),
        ("/{s}/delete/by_time/1e9", 404, ""),
        ("/{s}/delete/by_time/nan", 404, ""),
        ("/{s}/delete/by_time/2/1", 400, "time2"),
        ("/{s}/insert/1.2.3/1/0", 400, "value"),
        (f"/{{s}}/insert/{ENORMOUS}/1/0", 400, "value"),
        ("/{s}/insert/1/-1/0", 400, "timestamp"),
        ("/current/watt_to_euros/day/1.2.3", 400, "consumption"),
        (f"/current/watt_to_euros/day/{ENORMOUS}", 400, "consumption"),
        ("/{s}/get/watts/by_id/1.0", 404, ""),
        ("/{s}/get/watts/by_id/abc", 404, ""),
        ("/{s}/get/watts/by_id/--1", 404, ""),
        ("/{s}/get/watts/by_id/+1", 404, ""),
        ("/{s}/get/watts/by_id/1_0", 404, ""),
        ("/{s}/get/watts/by_id/", 404, ""),
        ("/{s}/get/watts/by_id/1/", 404, ""),
        ("/{s}/get/watts/by_id/1/2/1.5", 404, ""),
        ("/{s}/get/watts/by_id/%EF%BC%91", 404, ""),
        ("/{s}/get/watts/by_id/%D9%A1", 404, ""),
        ("/{s}/get/watts/by_id/%FF", 404, ""),
        ("/{s}/get/watts/by_id/1%00", 404, ""),
        ("/{s}/get/watts/by_id/1%0A", 404, ""),
        ("/{s}/get/watts/by_id/1%2F2", 404, ""),
        ("/{s}/get/watts/by_id/%2531", 404, ""),
        ("/{s}/get/watts/by_id/%2D1", 200, ""),
        ("/{s}/get/watts/by_id/%zz", 404, ""),
        ("/{s}/get/watts/by_time/abc/1", 404, ""),
        ("/{s}/get/watts/by_time/1e9", 404, ""),
        ("/{s}/get/watts/by_time/nan/inf", 404, ""),
        ("/{s}/get/kwatthours/by_id/1", 404, ""),
        ("/{s}/get/kwatthours/by_time/1", 404, ""),
        ("/{s}/get/joules/by_time/1/2", 404, ""),
        ("/{s}/get/WATTS/by_time/1/2", 404, ""),
        ("/{s}/insert/1/1.5/0", 404, ""),
        ("/{s}/insert/1/1/day", 404, ""),
        ("/1.0/get/watts/by_id/1", 404, ""),
        ("/current/get/watts/by_id/1", 404, ""),
        ("/current/watt_to_euros/noon/1", 404, ""),
        ("/newest/watt_to_euros/day/1", 404, ""),
        ("/energy_providers/newest", 404, ""),
        ("//sensors", 404, ""),
        ("/{s}//get/watts/by_id/1", 404, ""),
        ("/sensors/", 404, ""),
        ("/sensors/abc", 404, ""),
        ("/Time", 404, ""),
        ("/", 404, ""),
        ("", 404, ""),
    ],
)
def test_each_wrong_parameter_has_its_status_and_is_named(
    filled: Filled, path: str, status: int, named: str
) -> None:
    answer = filled.get(path, status)

    assert status == 200 or (answer["data"] is None and named in answer["error"])


def test_more_measures_than_a_list_may_have_are_403(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cw_mqtt.web.api.MOST_LISTED", 5)

    assert "time2" in filled.get("/{s}/get/watts/by_time/0/1795219200", 403)["error"]
    assert len(filled.get("/{s}/get/watts/by_time/0/1795216000")["data"]) == 5


@pytest.mark.parametrize("page", [1, 2, 6])
def test_a_long_list_comes_in_parts_and_is_the_same(
    filled: Filled, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    path = "/{s}/get/watts/by_time/0/1795219200"
    whole = filled.get(path)
    monkeypatch.setattr("cw_mqtt.web.pages.ROWS_A_PART", page)
    monkeypatch.setattr("cw_mqtt.store.web_queries.LISTED_AT_ONCE", page)

    answer = filled.house.site.call(f"/api/{path.format(s=filled.sensor)[1:]}")

    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert json.loads(answer.text) == whole
    assert answer.text == json.dumps(whole, separators=(",", ":"))


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", FORM),
        ("application/json", FORM),
        ("text/plain; charset=nonsense", FORM),
        ("", FORM),
        ("application/json", FORM + "&login=ada&more=%ff"),
        (
            'multipart/form-data; boundary="xx"',
            MULTIPART,
        ),
    ],
)
def test_a_form_is_read_whatever_it_is_called(house: House, content_type: str, body: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}

    assert house.site.call("/api/time", None, "POST", body, headers).status == 200


def test_a_post_may_bring_its_login_in_the_header(house: House) -> None:
    assert house.site.call("/api/time", ADA, "POST").status == 200


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", ""),
        ("application/json", "login=ada"),
        ("application/json", "login=ada&password=wrong"),
        ("application/json", "login=eve&password=guess"),
        ("application/json", "login=ada%00&password=guess"),
        ("application/json", "login=%ff&password=%ff"),
        ("application/json", b"\xff\xfe"),
        ("application/json", '{"login": "ada", "password": "correct horse: battery"}'),
        ("application/json", "a=b&" * 1000 + FORM),
        ("multipart/form-data", FORM),
        ("multipart/form-data; boundary=", FORM),
        ("multipart/form-data; boundary=xx", "--xx\r\n\r\n--xx--"),
        ("multipart/form-data; boundary=\xe9", "--\xe9"),
    ],
)
def test_a_post_without_the_right_login_is_403(
    house: House, content_type: str, body: str | bytes
) -> None:
    answer = house.site.call("/api/time", None, "POST", body, {"Content-Type": content_type})

    assert answer.status == 403
    assert "login" in json.loads(answer.text)["error"]


@pytest.mark.parametrize("login", [None, ("ada", "wrong"), ("eve", ADA[1]), ("", ""), ("\0", "x")])
def test_a_get_without_the_right_login_is_401_in_json(
    house: House, login: tuple[str, str] | None
) -> None:
    answer = house.site.call("/api/time", login)

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert json.loads(answer.text)["data"] is None


def test_wrong_parameters_are_not_told_to_strangers(house: House) -> None:
    assert house.site.call("/api/1/get/watts/by_time/2/1", None).status == 401


@pytest.mark.parametrize(("path", "status"), [("/api/no", 404), ("/api/time", 405)])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
def test_the_path_and_the_method_come_before_the_login(
    house: House, path: str, status: int, method: str
) -> None:
    answer = house.site.call(path, None, method)

    assert answer.status == status
    assert answer.headers["Allow"] == ("GET, HEAD, POST" if status == 405 else None)


@pytest.mark.parametrize(
    "path",
    ["/sensors", "/{s}/get/watts/by_id/-1", "/{s}/get/kwatthours/by_time/9/0", "/time/no"],
)
def test_head_says_what_get_would_without_the_answer(filled: Filled, path: str) -> None:
    head, get = (
        filled.house.site.call(filled.path(path), method=method) for method in ("HEAD", "GET")
    )

    assert (head.status, head.text) == (get.status, "")
    names = ("Content-Type", "Content-Length", "Cache-Control")
    assert [head.headers[name] for name in names] == [get.headers[name] for name in names]


@pytest.mark.parametrize("path", ["/{s}/delete/by_id/-1", "/{s}/insert/1/1795215700/0"])
def test_head_changes_nothing(filled: Filled, path: str) -> None:
    answer = filled.house.site.call(filled.path(path), method="HEAD")

    assert (answer.status, answer.text) == (200, "")
    assert filled.left() == list(range(6))


@pytest.mark.parametrize(
    ("chunks", "status"),
    [
        (f"{len(FORM):x}\r\n{FORM}\r\n0\r\n\r\n", "200 OK"),
        ("zz\r\n", "400 Bad Request"),
        ("3\r\nabcdef\r\n", "400 Bad Request"),
        ("1\r\na\r\n" * 101, "413 Request Entity Too Large"),
    ],
)
def test_a_body_in_chunks_is_read_or_refused(house: House, chunks: str, status: str) -> None:
    head = "POST /api/time HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

    assert house.site.raw(head + chunks) == f"HTTP/1.1 {status}"


def test_a_polling_script_gets_each_measure_once(filled: Filled) -> None:
    """POST /api/time, and its float straight into the next path."""
    house = filled.house
    times = [float(T), T + 8.0000001, T + 20.9779809, house.post("/api/time")["data"]]

    listed = []
    for start, end in pairwise(times):
        path = f"/api/{filled.sensor}/get/watts/by_time/{start}/{end}"
        listed += house.post(path)["data"]

    assert [measure["id"] for measure in listed] == filled.ids


def test_the_old_page_draws_a_day_by_the_hour(filled: Filled) -> None:
    """Days have 23 to 25 hours; times may have seven decimals."""
    day = filled.get("/{s}/get/kwatthours/by_time/1795215599.9779809/1795305599.9779809/3600")

    assert len(day["data"]) == 25
    assert rounded(day["data"][0]) == rounded(kwh(3200, 6400))
    assert day["data"][1:] == [None] * 24


def test_the_old_page_asks_with_its_session(filled: Filled) -> None:
    """What it sends at its start, for "now", and every two seconds after that."""
    browser = Browser(filled.house.site)
    browser.log_in()
    get = f"/api/{filled.sensor}/get"
    paths = [
        *("/api/time", "/api/sensors", "/api/energy_providers/current"),
        f"{get}/watts/by_time/1795215599.9779809/1795215640.9779809/8",
        f"{get}/euros/by_time/1795215599.9779809/1795215640.9779809/8",
        f"{get}/kwatthours/by_time/1795215600/1797894000/86400",
    ]

    answers = [browser.get(path, Accept="application/json, */*") for path in paths]

    assert [answer.status for answer in answers] == [200] * 6
    told = [json.loads(answer.text)["data"] for answer in answers]
    assert "CitizenWatt" in {sensor["name"] for sensor in told[1]}
    assert told[2].keys() >= {"threshold", "day_slope_watt_euros", "night_constant_watt_euros"}
    assert [len(groups) for groups in told[3:]] == [6, 6, 31]


def test_a_script_reads_energy_as_the_known_ones_do(filled: Filled) -> None:
    """Each call on a connection of its own, login and password with every one, called JSON."""
    path = f"/api/{filled.sensor}/get/kwatthours/by_time/{float(T)}/{T + 40.5}"

    value = filled.house.post(path)["data"]["value"]

    assert round(value * 3_600_000) == 9600


def test_while_the_database_is_away_every_call_is_503_in_json(
    make_site: Callable[..., Site], away: Engine, tmp_path: Path
) -> None:
    site = make_site(queries=WebQueries(away, settings(tmp_path))).wait()

    answers = [
        site.call(path, None, "POST", FORM, AS_JSON)
        for path in ("/api/sensors", "/api/1/get/watts/by_id/-1", "/api/1/insert/1/1/0")
    ]

    assert [answer.status for answer in answers] == [503] * 3
    assert "Connection refused" in json.loads(answers[0].text)["error"]


def test_each_change_is_told_with_who_made_it_and_from_where(
    make_site: Callable[..., Site], engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cw_mqtt.web.changes")
    prepare_database(engine, settings(tmp_path), NOW_TS)
    events: list[Event] = []
    site = make_site(queries=WebQueries(engine, settings(tmp_path)), tell=events.append).wait()

    site.call(f"/api/1/insert/12/{T}/0")
    site.call("/api/1/delete/by_time/0/9999999999")

    assert [event.type for event in events] == ["measures_inserted", "measures_deleted"]
    assert caplog.messages == [event.text for event in events]
    assert caplog.messages[1].startswith("ada (127.0.0.1) deleted 1 measure of sensor 1, from 2026")
    assert [each.by.name for each in all_deletions(engine)] == ["ada"]
