"""Lines that the system gives as a file descriptor."""

import os
from functools import partial

import pytest

from cw_mqtt.acquire.line import DescriptorLine
from cw_mqtt.errors import ResourceAwayError


def test_a_line_that_the_system_fails_to_read_is_away() -> None:
    board, port = os.openpty()
    os.close(port)
    line = DescriptorLine(board, "/dev/ttyUSB0", partial(os.close, board))

    with pytest.raises(ResourceAwayError, match=r"^/dev/ttyUSB0 hung up \(Input/output error\)"):
        line.read(1.0)

    line.close()
