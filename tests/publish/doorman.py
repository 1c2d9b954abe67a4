"""A TCP proxy before the broker that can turn clients away, cut the line, or hold it."""

import socket
import threading
import time
from contextlib import suppress

from tests.program import HOST, Program


class Doorman:
    """Passes bytes between clients and the broker.

    A CONNECT of a protocol level in `answers` gets that answer, and the line is closed; for None
    it is left without an answer. `pause_s` is how long every piece waits, as on a bad line.
    """

    def __init__(self, broker: Program) -> None:
        self.answers: dict[int, bytes | None] = {}
        self.holding = False
        self.pause_s = 0.0
        self._broker = broker
        self._lines: list[socket.socket] = []
        self._frozen: set[socket.socket] = set()
        self._server = socket.create_server((HOST, 0))
        self.host, self.port = HOST, int(self._server.getsockname()[1])
        threading.Thread(target=self._welcome, daemon=True).start()

    def cut(self) -> None:
        """Break every line, as a crash of the client does."""
        for line in self._lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        self._lines.clear()

    def freeze(self) -> None:
        """Pass nothing more on the lines there are; both ends take them for open."""
        self._frozen.update(self._lines)

    def close(self) -> None:
        """Let nobody in any more."""
        with suppress(OSError):  # closed before
            self._server.shutdown(socket.SHUT_RDWR)  # close alone would let one more in
        self._server.close()
        self.cut()

    def _welcome(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        hello = client.recv(4096)
        level = hello[hello.index(b"MQTT") + 4]
        if level in self.answers:
            self._turn_away(client, self.answers[level])
            return
        try:
            broker = socket.create_connection((self._broker.host, self._broker.port))
        except OSError:  # it is being started anew
            client.close()
            return
        self._lines += [client, broker]
        broker.sendall(hello)
        threading.Thread(target=self._pass_on, args=(broker, client), daemon=True).start()
        self._pass_on(client, broker)

    def _turn_away(self, client: socket.socket, answer: bytes | None) -> None:
        if answer is None:
            self._lines.append(client)
            return
        client.sendall(answer)
        client.close()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(4096):
                time.sleep(self.pause_s)
                if not self.holding and source not in self._frozen:
                    target.sendall(content)
        with suppress(OSError):
            if source in self._frozen:
                return  # the end of one side is not heard at the other
            target.shutdown(socket.SHUT_RDWR)
