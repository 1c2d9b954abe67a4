import pytest
from pydantic_core import PydanticCustomError

from cw_mqtt.config.values import KEY_PROBLEM, parse_key

EXAMPLE = bytes(range(16))


@pytest.mark.parametrize(
    "text",
    [
        "000102030405060708090a0b0c0d0e0f",
        "000102030405060708090A0B0C0D0E0F",
        "0-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15",
    ],
)
def test_a_key_is_hex_digits_or_bytes(text: str) -> None:
    assert parse_key(text) == EXAMPLE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "canary",
        "000102030405060708090a0b0c0d0e",
        "000102030405060708090a0b0c0d0e0f00",
        "0-1-2-3-4-5-6-7-8-9-10-11-12-13-14",
        "0-1-2-3-4-5-6-7-8-9-10-11-12-13-14-256",
        b"short",
        ["0"],
    ],
)
def test_anything_else_is_no_key_and_is_not_shown(text: object) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        parse_key(text)

    assert str(refused.value) == KEY_PROBLEM
