"""Where log lines go, and in which form."""

import json
import logging
import os
import sys

from cw_mqtt.config.settings import LoggingSettings
from cw_mqtt.model import iso_utc

STANDARD_ERROR = 2
# sd-daemon(3): journald reads the priority from the beginning of the line
PRIORITIES = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}


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
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatters[form])
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
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
