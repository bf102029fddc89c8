"""A TCP proxy whose connections a test can freeze: they stay open and say nothing, as after a cable was pulled."""

import contextlib
import socket
import threading
from typing import Self


class Proxy:
    """Passes bytes on to `port` of the loopback address."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[_Pair] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def freeze(self) -> int:
        """No byte goes through the connections that are open now, in either direction; new ones work. How many."""
        frozen = [pair for pair in self._pairs if not pair.frozen.is_set()]
        for pair in frozen:
            pair.frozen.set()
        return len(frozen)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for pair in self._pairs:
            pair.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._pairs.append(_Pair(client, socket.create_connection(("127.0.0.1", self._target))))


class _Pair:
    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.frozen = threading.Event()
        self._ends = (client, server)
        for one, other in ((client, server), (server, client)):
            threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def close(self) -> None:
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if not self.frozen.is_set():
                    other.sendall(data)
            # The end of a frozen connection is not passed on either: the other side hears nothing.
            if not self.frozen.is_set():
                other.shutdown(socket.SHUT_WR)
