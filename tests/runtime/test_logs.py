"""Log lines as people, journald and programs read them."""

import json
import logging
import os
import re
from contextlib import suppress

import pytest

from cw_mqtt.config.settings import LoggingSettings
from cw_mqtt.runtime.logs import MOST_LINES_WAITING, set_up_logs

log = logging.getLogger("cw_mqtt.test")


@pytest.fixture
def written(capfd, caplog):
    """Sets the logs up; answers a function that gives the lines written since."""
    root, ours = logging.getLogger(), logging.getLogger("cw_mqtt")
    handlers, levels = list(root.handlers), (root.level, ours.level)

    def set_up(**settings):
        set_up_logs(LoggingSettings(**settings))
        return lines

    def lines():
        root.handlers[0].flush()
        return capfd.readouterr().err.splitlines()

    yield set_up
    root.handlers[0].close()
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.fixture
def pipe(monkeypatch):
    """A pipe that nobody reads, in the place of standard error; answers its two ends."""
    reading, writing = os.pipe()
    monkeypatch.setattr("cw_mqtt.runtime.logs.STANDARD_ERROR", writing)
    yield reading, writing
    os.close(writing)
    os.close(reading)


def read_all(pipe):
    """What was written, after whoever reads it has read on."""
    reading, _ = pipe
    os.set_blocking(reading, False)
    text = b""
    while not logging.getLogger().handlers[0]._waiting.empty() or b"lost" not in text:
        with suppress(BlockingIOError):
            text += os.read(reading, 65536)
    return text.decode().splitlines()


def fail():
    try:
        raise ValueError("of no use")
    except ValueError:
        log.exception("it failed")


def test_text_has_date_time_level_and_message(written):
    lines = written(format="text")

    log.warning("%d sensors", 2)

    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d WARNING 2 sensors", *lines())


@pytest.mark.parametrize(
    ("level", "mark"), [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2)]
)
def test_journald_gets_each_priority(written, level, mark):
    lines = written(format="journald", level="debug")

    getattr(log, level)("said")

    assert lines() == [f"<{mark}>said"]


def test_journald_gets_the_priority_on_each_line_of_a_traceback(written):
    lines = written(format="journald")

    fail()

    shown = lines()
    assert len(shown) > 3
    assert all(line.startswith("<3>") for line in shown)


def test_json_is_one_object_on_one_line(written):
    lines = written(format="json")

    log.info("two\nlines: %s", "é")

    (line,) = lines()
    shown = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown.pop("time"))
    assert shown == {"level": "info", "logger": "cw_mqtt.test", "message": "two\nlines: é"}


def test_json_has_the_traceback_of_an_exception(written):
    lines = written(format="json")

    fail()

    (line,) = lines()
    assert json.loads(line)["traceback"].endswith("ValueError: of no use")


def test_the_level_is_ours_and_others_are_heard_from_warnings_on(written):
    lines = written(format="text", level="error")

    log.warning("ours")
    log.error("our error")
    logging.getLogger("library").info("theirs")
    logging.getLogger("library").warning("their warning")

    assert [line.split(maxsplit=3)[3] for line in lines()] == ["our error", "their warning"]


def test_auto_is_journalds_form_where_journald_listens(written, monkeypatch):
    status = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    lines = written(format="auto")

    log.info("said")

    assert lines() == ["<6>said"]


@pytest.mark.parametrize("stream", ["", "8:12345"])
def test_auto_is_text_where_another_reads_also_in_a_terminal_of_a_journald_service(
    written, monkeypatch, stream
):
    monkeypatch.setenv("JOURNAL_STREAM", stream)
    lines = written(format="auto")

    log.info("said")

    assert lines()[0].endswith("INFO    said")


def test_a_reader_that_hangs_costs_lines_that_are_counted_and_stops_nobody(written, pipe):
    written(format="text")
    filling = 1000 * "x"

    for number in range(2 * MOST_LINES_WAITING):
        log.info("%d %s", number, filling)

    *lines, last = read_all(pipe)
    lost = int(re.fullmatch(r"[-\d]+ [:\d]+ WARNING (\d+) log lines are lost.*", last)[1])
    assert lost == 2 * MOST_LINES_WAITING - len(lines) > 0
    assert all(line.endswith(filling) for line in lines)


def test_the_end_does_not_wait_for_ever_for_a_reader_that_hangs(written, pipe):
    written(format="text")
    _, writing = pipe
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        os.write(writing, bytes(1_000_000))
    os.set_blocking(writing, True)

    log.warning("said")

    logging.shutdown()


def test_a_reader_that_has_gone_stops_nobody(written, monkeypatch):
    lines = written(format="text")
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr("cw_mqtt.runtime.logs.STANDARD_ERROR", writing)

    log.warning("said to nobody")
    logging.getLogger().handlers[0].flush()
    monkeypatch.undo()
    log.warning("said")

    assert [line.split(maxsplit=3)[3] for line in lines()] == ["said"]
    os.close(writing)
