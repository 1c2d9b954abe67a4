"""From what was published before to what is published now, so that no entity loses its history."""

from cw_mqtt.journal.journal import Journal
from cw_mqtt.publish.client import Connection
from cw_mqtt.publish.homeassistant import MIGRATE, Identity, discovery_first
from cw_mqtt.publish.neighbours import Neighbours
from cw_mqtt.publish.topics import Message, cleared


def hand_over(
    connection: Connection, identity: Identity, journal: Journal, neighbours: Neighbours
) -> None:
    """Publish discovery; clear what was retained under topics no longer wanted.

    For entities that change from one style of discovery to the other, Home Assistant is
    told first, so that it keeps their history and their users' changes. Of those that end,
    discovery is cleared before the values: an entity still there cannot read an empty value.
    """
    unused = journal.retained_topics() - identity.retained
    theirs = neighbours.theirs(connection, unused)
    journal.note_retained((), theirs)
    ghosts = sorted(unused - theirs, key=discovery_first)
    moving = [topic for topic in ghosts if topic in identity.handed_over]
    migrations = (Message(topic, MIGRATE, 1, retain=True) for topic in moving)
    for messages in (migrations, identity.discovery, map(cleared, ghosts)):
        connection.publish_all(messages)
        connection.settle()
    # what the broker did not let us clear is tried again on the next connection
    journal.note_retained((), set(ghosts) - connection.refused.keys())
