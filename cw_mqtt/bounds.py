"""For whom something is done: what is asked for somebody who has left may be ended early."""

from collections.abc import Callable
from contextvars import ContextVar

# Whether nobody waits for the answer any more; who asks for somebody else sets it.
is_unwanted: ContextVar[Callable[[], bool]] = ContextVar("is_unwanted", default=lambda: False)
