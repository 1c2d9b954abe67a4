"""What requests say of who sends them, as values."""

import pytest

from cw_mqtt.web.credentials import basic_credentials, bearer_token, cookie


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        ("Basic YWRhOnNlY3JldA==", ("ada", "secret")),
        ("basic YWRhOnNlY3JldA==", ("ada", "secret")),
        ("Basic YWRhOmE6Yg==", ("ada", "a:b")),
        ("Basic YWRhOsOp", ("ada", "é")),
        ("Basic YWRhOg==", ("ada", "")),
        ("Basic YWRh", None),
        ("Basic !!!!", None),
        ("Basic YWRhOuk=", ("ada", "é")),  # Latin-1
        ("Basic", None),
        ("Bearer YWRhOnNlY3JldA==", None),
        ("", None),
    ],
)
def test_credentials_are_read_as_rfc_7617_writes_them(
    authorization: str, expected: tuple[str, str] | None
) -> None:
    assert basic_credentials(authorization) == expected


@pytest.mark.parametrize(
    ("authorization", "token"),
    [
        ("Bearer cwmqtt_x-_", "cwmqtt_x-_"),
        ("bearer  x ", "x"),
        ("Bearer", ""),
        ("Basic x", None),
        ("", None),
    ],
)
def test_a_token_is_read_as_rfc_6750_writes_it(authorization: str, token: str | None) -> None:
    assert bearer_token(authorization) == token


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("cw-mqtt=x-_", "x-_"),
        ("a=b; cw-mqtt=x; c=d", "x"),
        ('a/b,c=(d); "=; cw-mqtt=x', "x"),
        ("cw-mqtt2=x; my-cw-mqtt=x", None),
        ("__Host-cw-mqtt=x", None),
        ("cw-mqtt", ""),
        ("", None),
    ],
)
def test_a_cookie_is_found_between_those_of_other_programs(header: str, value: str | None) -> None:
    assert cookie(header, "cw-mqtt") == value
