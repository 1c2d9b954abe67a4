"""The OpenAPI document, and whether the server does what it says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cw_mqtt.records import Role
from cw_mqtt.web.credentials import key_hash, new_token
from tests.amounts import amount
from tests.web.house import House
from tests.web.test_api import POINTS

BASES = amount(["postgresql"], torture=["sqlite", "postgresql"])
EXAMPLES = amount(1, torture=20)
ST = Path(sys.executable).with_name("st")


def test_the_document_needs_no_login_and_has_every_path(house: House) -> None:
    answer = house.site.call("/api/openapi.json", login=None)

    document = json.loads(answer.text)
    assert answer.status == 200
    assert document["openapi"] == "3.1.0"
    assert len(document["paths"]) == 18
    assert all(path.keys() == {"get", "post"} for path in document["paths"].values())


@pytest.mark.usefixtures("caplog")  # it is warned of the wrong passwords
@pytest.mark.parametrize("house", BASES, indirect=True)
def test_generated_calls_are_answered_as_the_document_says(house: House, tmp_path: Path) -> None:
    """What schemathesis checks: no fault of the server, statuses, types, answers, methods."""
    house.add(1, *POINTS)
    token = new_token()
    house.site.tokens.add("schemathesis", key_hash(token), Role.WRITE)
    command = [
        *(ST, "run", f"http://127.0.0.1:{house.site.port}/api/openapi.json"),
        *(
            "--header",
            f"Authorization: Bearer {token}",
            "--max-examples",
            str(EXAMPLES),
            "--seed",
            "1",
        ),
        *("--phases", "examples,coverage,fuzzing", "--continue-on-failure"),
        # a range may be reversed, a number may be written as 1e-9: both are refused;
        # its wrong passwords are soon answered by 429
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance,ignored_auth"),
    ]

    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Tested: 36" in ended.stdout
