from cw_mqtt.publish.send_queue import SendQueue
from cw_mqtt.publish.topics import Message


def message(topic, payload="1"):
    return Message(topic, payload, 1, retain=True)


def test_while_the_broker_is_behind_the_newest_of_each_topic_waits():
    queue = SendQueue()

    for each in (message("a"), message("b"), message("a", "2")):
        queue.put(each)

    assert [queue.take(9), queue.take(9), queue.take(9)] == [message("a", "2"), message("b"), None]


def test_no_more_are_in_flight_than_the_broker_takes():
    queue = SendQueue()
    queue.put(message("a"))
    queue.put(message("b"))
    queue.sent(1, queue.take(1), 0.0)

    assert queue.take(1) is None
    assert queue.acked(1) == message("a")
    assert queue.take(1) == message("b")


def test_the_oldest_message_in_flight_tells_how_late_the_broker_is():
    queue = SendQueue()
    assert queue.owing_s(100.0) < 0

    queue.sent(1, message("a"), 10.0)
    queue.sent(2, message("b", "longer"), 12.0)

    assert queue.owing_s(15.0) == 5.0
    assert queue.largest() == message("b", "longer")
    queue.acked(1)
    assert (queue.owing_s(15.0), len(queue)) == (3.0, 1)
