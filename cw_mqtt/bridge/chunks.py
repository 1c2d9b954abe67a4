"""Chunks on their way from the receivers' threads to the bridge's one."""

import queue
import threading
from contextlib import suppress

from cw_mqtt.model import Chunk

MOST_WAITING = 10_000
BYTES_A_COMMIT = 4096
FULL_WAIT_S = 2.0
IDLE_S = 2.0


class ChunkQueue:
    """What was heard and is not judged yet; any thread puts in, one takes out."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Chunk | None] = queue.Queue(MOST_WAITING)

    def __len__(self) -> int:
        return self._queue.qsize()

    def put(self, chunk: Chunk) -> bool:
        """Take a chunk; when thousands wait, only if there is room for it within two seconds."""
        try:
            self._queue.put(chunk, timeout=FULL_WAIT_S)
        except queue.Full:
            return False
        return True

    def wake(self) -> None:
        """Let a waiting `take` go on."""
        if not self:  # otherwise it does not wait
            self._queue.put(None)

    def take(self, stopping: threading.Event) -> list[Chunk] | None:
        """Wait two seconds at most, and take what is there, for one commit.

        None when `stopping` is set and nothing is left.
        """
        if stopping.is_set() and not self:
            return None
        chunks: list[Chunk] = []
        size, wait_s = 0, IDLE_S
        with suppress(queue.Empty):
            while size < BYTES_A_COMMIT:
                if chunk := self._queue.get(timeout=wait_s):
                    chunks.append(chunk)
                    size += len(chunk.content)
                wait_s = 0.0
        return chunks
