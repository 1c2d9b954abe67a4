"""Other bridges at the same broker: named, and made way for, instead of fought with."""

import threading
import time

from cw_mqtt.errors import ResourceAwayError
from cw_mqtt.publish.client import TICK_S, Connection
from cw_mqtt.publish.requests import Received
from cw_mqtt.publish.retained import kept
from cw_mqtt.publish.topics import OFFLINE, Topics
from cw_mqtt.publish.totals import Retained, installation_in


class Neighbours:
    """What is known of other bridges, of which one may be under the same base topic.

    It is `gone_after_s` without a word from it.
    """

    def __init__(self, topics: Topics, gone_after_s: float) -> None:
        self._topics = topics
        self._gone_after_s = gone_after_s
        self._ours: set[str] = set()  # this installation may have learned another name
        self._gone: set[str] = set()
        self._waited_for: str | None = None

    def take_waited_for(self) -> str | None:
        """The one to wait for before the next try, once."""
        other, self._waited_for = self._waited_for, None
        return other

    def look(self, connection: Connection, retained: Retained, installation: str) -> None:
        """Raise `ResourceAwayError`, and leave no trace, where another bridge is at work."""
        self._ours.add(installation)
        other = retained.installation_online()
        if other and other not in self._ours | self._gone:
            self._make_way(connection, other)

    def settled(self) -> None:
        """Note that this bridge has taken its place: who was gone may come back."""
        self._gone.clear()

    def yields_to(self, connection: Connection, info: Received, installation: str) -> bool:
        """Whether another bridge has just come that has to make way; raises if it is this one.

        Of two that come at once, it is the one whose name comes later.
        """
        other = installation_in(info.payload)
        if info.retained or other is None or other in self._ours:
            return False
        if other < installation:
            self._make_way(connection, other)
        return True

    def wait_until_gone(
        self, connection: Connection, other: str, stopping: threading.Event
    ) -> None:
        """Listen until another bridge has been silent or offline for long.

        A while also when it says goodbye: it may just be starting again.
        """
        connection.subscribe([self._topics.bridge("state"), self._topics.bridge("health")])
        heard_s = time.monotonic()
        while not stopping.is_set() and time.monotonic() - heard_s < self._gone_after_s:
            connection.work(min(TICK_S, self._gone_after_s))
            while connection.received:
                received = connection.received.popleft()
                if not received.retained and received.payload != OFFLINE:
                    heard_s = time.monotonic()
        self._gone.add(other)
        connection.say_goodbye()

    def theirs(self, connection: Connection, topics: set[str]) -> set[str]:
        """Those below an earlier base topic that another bridge has now."""
        infos = {topic for topic in topics if topic.endswith("/bridge/info")}
        found = kept(connection, infos) if infos else {}
        names = {topic: installation_in(info) for topic, info in found.items()}
        bases = tuple(
            topic.removesuffix("bridge/info")
            for topic, name in names.items()
            if name is not None and name not in self._ours
        )
        return {topic for topic in topics if topic.startswith(bases)}

    def _make_way(self, connection: Connection, other: str) -> None:
        connection.say_goodbye()  # or the broker would send our will
        self._waited_for = other
        raise ResourceAwayError(
            f"another bridge, installation {other}, publishes under {self._topics.base}/ too; "
            "this one does not until that is gone: stop one of the two, or give it another "
            "mqtt.base_topic in its config.yaml"
        )
