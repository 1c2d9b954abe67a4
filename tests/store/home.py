"""Where it was."""

from tests.home import MAX_GAP_S, START_TS, Home, reading  # noqa: F401
