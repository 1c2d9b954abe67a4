from cw_mqtt.publish.outbox import RepublishTimer


def test_all_is_told_again_once_after_the_pause() -> None:
    retelling = RepublishTimer()

    retelling.ask(now_s=100, pause_s=3)
    retelling.ask(now_s=101, pause_s=8)

    assert [retelling.is_due(now_s) for now_s in (102.9, 103, 104, 110)] == [
        False,
        True,
        False,
        False,
    ]


def test_all_is_told_again_once_a_minute_at_most() -> None:
    retelling = RepublishTimer()
    retelling.ask(now_s=100, pause_s=0)
    retelling.is_due(now_s=100)

    retelling.ask(now_s=101, pause_s=5)

    assert [retelling.is_due(now_s) for now_s in (106, 159.9, 160)] == [False, False, True]
