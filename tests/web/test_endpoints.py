"""The table of the API, and the page that describes it."""

import re
from pathlib import Path

import pytest

from cw_mqtt.web.api import Api
from cw_mqtt.web.endpoints import PARAMETERS, Endpoint, RefusedError, read_integer

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
ENDPOINTS = Api(None, None, 500, lambda: 0.0).endpoints()  # the table needs no database


def test_the_page_says_of_each_path_what_the_table_says() -> None:
    rows = [f"| `{endpoint.path}` | {endpoint.about} |" for endpoint in ENDPOINTS]

    assert re.findall(r"^\| `/api/.*", PAGE, re.MULTILINE) == rows


def test_the_page_explains_every_parameter() -> None:
    rows = "".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE))

    assert [name for name in PARAMETERS if f"`{name}`" not in rows] == []


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_each_endpoint_says_in_a_sentence_what_it_does(endpoint: Endpoint) -> None:
    assert re.fullmatch(r"[A-Z].+\.", endpoint.about)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("0", 0), ("-0", 0), ("007", 7), ("-12", -12), ("0" * 5000 + "5", 5)),
        *(("999999999999999999", 10**18 - 1), ("1" + "0" * 18, 10**18), ("9" * 19, 10**18)),
        *(("9" * 5000, 10**18), ("-" + "9" * 5000, -(10**18))),
    ],
)
def test_an_integer_may_have_any_length(text: str, number: int) -> None:
    assert read_integer(text) == number


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("time1", "-1", "time1: expected a number from 0"),
        ("time1", "1.2.3", "time1: expected a number"),
        ("step", "0", "step: expected a number from 1"),
        ("value", "-2000000000", "value: expected a number from -1e+09 to 1e+09"),
    ],
)
def test_an_error_names_the_parameter_and_what_is_expected(
    name: str, text: str, error: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        PARAMETERS[name].parse(name, text)

    assert (refused.value.status, str(refused.value)) == (400, error)
