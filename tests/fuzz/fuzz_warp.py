"""What a fleet's control port answers to a program in its time."""

import math
from contextlib import suppress
from typing import Any
from unittest import mock

from softaxe.warp.shim import sitecustomize

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
CLOCK = b'{"now": 12.5, "speed": 10.0, "paused": false, "reachedSpeed": null}'
CORPUS = [
    HEAD + b"%d\r\n\r\n" % len(CLOCK) + CLOCK,
    HEAD + b"2\r\n\r\n{}",
    HEAD + b"12\r\n\r\n" + b'{"now": NaN}',
    HEAD.replace(b"200 OK", b"503 No") + b'15\r\n\r\n{"error": "no"}',
    HEAD + b"99999999999\r\n\r\n[",
    b"HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]",
    b"HTTP/1.1 200 OK\r\n\r\n{}",
]
RUNS = 200


shim: Any = sitecustomize
"""Without types, as it stands for functions in C."""


class Link:
    """A connection over which something comes, and then nothing."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def sendall(self, data: bytes) -> None:
        """Take a question."""

    def recv(self, size: int) -> bytes:
        """Give the next piece."""
        piece, self._data = self._data[: size // 1000], self._data[size // 1000 :]
        return piece

    def close(self) -> None:
        """End."""


class Fleet(sitecustomize.Fleet):
    """One that answers so, whoever calls."""

    def __init__(self, data: bytes) -> None:
        super().__init__("127.0.0.1", 8100)
        self._data = data

    def _connected(self) -> Any:
        return Link(self._data)


def one_input(data: bytes) -> None:
    fleet = Fleet(data)
    time = shim.FleetTime(fleet, is_driven=len(data) % 2 == 1)
    with mock.patch.object(sitecustomize, "_sleep"), suppress(sitecustomize.Gone):
        time.go_on()
        time.go_to(20.0)
        assert math.isfinite(time.now())
