"""Serial ports, on a real pseudo-terminal and real TCP connections."""

import os
import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import serial
import serial.rfc2217

from cw_mqtt.acquire.receiver import Receiver
from cw_mqtt.acquire.serial_port import DescriptorLine, open_serial, shown_port
from cw_mqtt.errors import ResourceAwayError
from tests.acquire.conftest import Board, Serving
from tests.waiting import DEADLINE_S, wait_until

EVERY_BYTE = bytes(range(256))
FRAME = bytes.fromhex("4e8c318a0979728c76971ccc6db512d7")


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A TCP server that waits for one connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(DEADLINE_S)
        yield server


def url(scheme: str, server: socket.socket) -> str:
    return f"{scheme}://127.0.0.1:{server.getsockname()[1]}"


def start(serving: Serving, port: str) -> None:
    open_line = partial(open_serial, port, 57600)
    serving.start(Receiver("hall", open_line, serving.chunks.append, serving.health))


class NetworkPort(threading.Thread):
    """A serial port on the network, as RFC 2217 tells."""

    def __init__(self, server: socket.socket) -> None:
        super().__init__()
        self._server = server
        self.start()

    def run(self) -> None:
        connection, _ = self._server.accept()
        self._connection = connection
        with connection, connection.makefile("wb", buffering=0) as answers:
            self._answers = answers
            make_manager: Any = serial.rfc2217.PortManager
            self._manager = make_manager(serial.serial_for_url("loop://", timeout=0), answers)
            while asked := connection.recv(1000):
                b"".join(self._manager.filter(asked))

    def hang_up(self) -> None:
        self._connection.shutdown(socket.SHUT_RDWR)

    def send(self, content: bytes) -> None:
        self._answers.write(b"".join(self._manager.escape(content)))


def test_every_byte_comes_as_it_was_sent(serving: Serving, board: Board) -> None:
    start(serving, board.port)

    board.send(EVERY_BYTE)

    wait_until(lambda: b"".join(serving.contents) == EVERY_BYTE)


def test_nothing_is_ever_sent_to_the_board(serving: Serving, board: Board) -> None:
    start(serving, board.port)

    board.send(FRAME + b"\r\n")
    wait_until(lambda: len(serving.chunks) == 2)
    serving.stop()

    assert board.received() == b""


def test_an_unplugged_board_is_away(serving: Serving, board: Board) -> None:
    start(serving, board.port)

    board.unplug()

    error = wait_until(lambda: serving.error)
    assert isinstance(error, ResourceAwayError)
    assert "hung up" in str(error)


def test_a_port_that_is_open_is_not_opened_twice(serving: Serving, board: Board) -> None:
    start(serving, board.port)

    with pytest.raises(ResourceAwayError, match="in use by another program"):
        open_serial(board.port, 57600)


def test_a_port_is_free_again_after_the_receiver_ended(serving: Serving, board: Board) -> None:
    start(serving, board.port)
    serving.stop()

    line = open_serial(board.port, 57600)

    board.send(FRAME)
    assert line.read(5.0) == FRAME
    line.close()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing", "is not there: unplugged"),
        ("folder", "is a directory"),
        ("file", "is no serial port"),
    ],
)
def test_what_is_no_port_is_away_with_a_reason(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()

    with pytest.raises(ResourceAwayError, match=reason):
        open_serial(str(tmp_path / name), 57600)


def test_no_descriptor_stays_open_when_a_port_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    before = len(list(Path("/proc/self/fd").iterdir()))

    with pytest.raises(ResourceAwayError):
        open_serial(str(tmp_path / "file"), 57600)

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_socket_brings_thousands_of_frames(serving: Serving, server: socket.socket) -> None:
    start(serving, url("socket", server))
    connection, _ = server.accept()

    connection.sendall(FRAME * 5000)

    wait_until(lambda: b"".join(serving.contents) == FRAME * 5000)
    connection.close()


def test_a_socket_closed_by_the_other_side_is_away(serving: Serving, server: socket.socket) -> None:
    start(serving, url("socket", server))

    server.accept()[0].close()

    assert isinstance(wait_until(lambda: serving.error), ResourceAwayError)


@pytest.mark.parametrize("scheme", ["socket", "rfc2217"])
def test_a_refused_connection_is_told_without_credentials(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(ResourceAwayError, match="refuses the connection") as caught:
        open_serial(f"{scheme}://me:secret@127.0.0.1:{port}", 57600)

    assert str(caught.value).startswith(f"{scheme}://127.0.0.1:{port} ")


def test_a_port_of_rfc2217_is_read_until_it_is_closed(
    serving: Serving, server: socket.socket
) -> None:
    network_port = NetworkPort(server)
    start(serving, url("rfc2217", server))

    network_port.send(EVERY_BYTE)
    wait_until(lambda: b"".join(serving.contents) == EVERY_BYTE)
    serving.stop()

    network_port.join(DEADLINE_S)
    assert not network_port.is_alive()


def test_a_port_of_rfc2217_that_hangs_up_is_away(serving: Serving, server: socket.socket) -> None:
    network_port = NetworkPort(server)
    start(serving, url("rfc2217", server))

    network_port.hang_up()

    assert isinstance(wait_until(lambda: serving.error), ResourceAwayError)
    network_port.join(DEADLINE_S)


@pytest.mark.parametrize(
    ("port", "shown"),
    [
        ("/dev/ttyUSB0", "/dev/ttyUSB0"),
        ("socket://attic.local:5000", "socket://attic.local:5000"),
        ("socket://me:p@ss@attic.local:5000", "socket://attic.local:5000"),
    ],
)
def test_a_port_is_shown_without_credentials(port: str, shown: str) -> None:
    assert shown_port(port) == shown


def test_a_line_that_the_system_fails_to_read_is_away() -> None:
    board, port = os.openpty()
    os.close(port)
    line = DescriptorLine(board, "/dev/ttyUSB0", partial(os.close, board))

    with pytest.raises(ResourceAwayError, match=r"^/dev/ttyUSB0 hung up \(Input/output error\)"):
        line.read(1.0)

    line.close()
