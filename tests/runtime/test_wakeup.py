from cw_mqtt.runtime.wakeup import Wakeup


def test_two_wakeups_before_a_wait_are_one():
    wakeup = Wakeup()

    wakeup.wake()
    wakeup.wake()

    assert wakeup.wait(0)
    assert not wakeup.wait(0)
