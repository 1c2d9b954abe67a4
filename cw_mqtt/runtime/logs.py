"""Where log lines go, and in which form."""

import json
import logging
import os
import queue
import threading
from collections import deque
from contextlib import suppress

from cw_mqtt.config.settings import LoggingSettings
from cw_mqtt.model import iso_utc

STANDARD_ERROR = 2
# sd-daemon(3): journald reads the priority from the beginning of the line
PRIORITIES = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}
MOST_LINES_WAITING = 1000
FLUSHED_WITHIN_S = 1.0


RECENT: deque[str] = deque(maxlen=200)


class RecentHandler(logging.Handler):
    """Remembers the newest lines, for the page."""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        RECENT.append(self.format(record))


def recent_lines(most: int) -> list[str]:
    """The newest log lines, the newest last."""
    return list(RECENT)[-most:]


class JournaldFormatter(logging.Formatter):
    """Each line with the priority that journald understands; journald adds the time itself."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        mark = f"<{PRIORITIES.get(record.levelname, 6)}>"
        return "\n".join(mark + line for line in super().format(record).splitlines())


class JsonFormatter(logging.Formatter):
    """Each record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        fields = {
            "time": iso_utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


class PatientHandler(logging.Handler):
    """Writes lines to standard error in a thread of its own, so that nobody waits for its reader.

    A reader that hangs (a full pipe, a blocked journald) costs lines: those beyond a thousand
    are dropped, counted, and the count is written when the reader reads again. Whoever calls
    `flush` waits two seconds at most.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: queue.Queue[str | threading.Event | None] = queue.Queue(MOST_LINES_WAITING)
        self._dropped = 0
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        try:
            self._waiting.put_nowait(self.format(record))
        except queue.Full:
            self._dropped += 1

    def flush(self) -> None:
        """Wait until what waits is written."""
        written = threading.Event()
        with suppress(queue.Full):
            self._waiting.put(written, timeout=FLUSHED_WITHIN_S)
            written.wait(FLUSHED_WITHIN_S)

    def close(self) -> None:
        """See `logging.Handler.close`."""
        with suppress(queue.Full):
            self._waiting.put_nowait(None)
        super().close()

    def _write(self) -> None:
        told = 0
        while (waiting := self._waiting.get()) is not None:
            if isinstance(waiting, str):
                write_line(waiting)
            if self._waiting.empty() and (dropped := self._dropped - told):
                told += dropped
                text = f"{dropped} log lines are lost: what reads standard error had stopped"
                fields = {"msg": text, "levelno": logging.WARNING, "levelname": "WARNING"}
                write_line(self.format(logging.makeLogRecord({**fields, "name": __name__})))
            if isinstance(waiting, threading.Event):
                waiting.set()


def write_line(text: str) -> None:
    """Write a line to standard error, past `sys.stderr`, whose lock the end of Python needs."""
    line = f"{text}\n".encode("utf-8", "backslashreplace")
    with suppress(OSError):  # nobody reads any more
        while line:
            line = line[os.write(STANDARD_ERROR, line) :]


def set_up_logs(settings: LoggingSettings) -> None:
    """Send the program's log lines to standard error."""
    form = settings.format
    if form == "auto":
        form = "journald" if is_journald_listening() else "text"
    formatters = {
        "text": logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S"),
        "journald": JournaldFormatter("%(message)s"),
        "json": JsonFormatter(),
    }
    handler = PatientHandler()
    handler.setFormatter(formatters[form])
    recent = RecentHandler()
    recent.setFormatter(formatters["text"])
    logging.basicConfig(handlers=[handler, recent], level=logging.WARNING, force=True)
    logging.getLogger("cw_mqtt").setLevel(settings.level.upper())


def is_journald_listening() -> bool:
    """Whether standard error goes to journald.

    systemd names its device and inode (systemd.exec(5), JOURNAL_STREAM); a program started from
    a desktop's terminal may have inherited the name and still write elsewhere.
    """
    stream = os.environ.get("JOURNAL_STREAM")
    if not stream:
        return False
    status = os.fstat(STANDARD_ERROR)
    return stream == f"{status.st_dev}:{status.st_ino}"
