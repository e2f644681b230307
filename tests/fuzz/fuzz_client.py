"""HTTP answers of anything that listens, to softaxe's own commands."""

import asyncio
import socket
from contextlib import suppress
from typing import Any
from unittest import mock

from softaxe.client.axeos import AsyncAxeOS
from softaxe.errors import DeviceError

CORPUS = [
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    b'{"a": 1}\n',
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 404 Not Found\r\nX: y\r\n z\r\n\r\nno",
    b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n\x81\x02hi",
]


def one_input(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(data[: 1 << 16])
    theirs.shutdown(socket.SHUT_WR)
    join = asyncio.open_connection

    def connected(*_args: Any) -> Any:
        return join(sock=ours)

    with (
        theirs,
        mock.patch.object(asyncio, "open_connection", connected),
        suppress(DeviceError),
    ):
        asyncio.run(_asked())


async def _asked() -> None:
    (await AsyncAxeOS("http://device").request("GET", "/")).json()
