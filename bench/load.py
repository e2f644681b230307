"""A small HTTP load: keep-alive connections that each ask again when answered."""

import asyncio
import time
from typing import cast

import uvloop

CONNECTIONS = 16


class _Client(asyncio.Protocol):
    """Asks, counts the answer's bytes, asks again."""

    def __init__(self, request: bytes, answer_bytes: int) -> None:
        self.answers = 0
        self._request = request
        self._answer_bytes = answer_bytes
        self._missing = answer_bytes
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's TCP transport is no subclass of it.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._missing -= len(data)
        # Bodies grow and shrink by a digit; the answer ends in a brace at its end.
        if self._missing <= 64 and data.endswith(b"}"):
            self.answers += 1
            self._missing = self._answer_bytes
            if self._transport is not None:
                self._transport.write(self._request)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


async def _one_answer(host: str, port: int, request: bytes) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [
        line for line in head.lower().split(b"\r\n") if b"content-length" in line
    ]
    body = await reader.readexactly(int(lengths[0].partition(b":")[2]))
    writer.close()
    return len(head) + len(body)


async def _load(host: str, port: int, path: str, seconds: float) -> float:
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    answer_bytes = await _one_answer(host, port, request)
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(CONNECTIONS):
        _, client = await loop.create_connection(
            lambda: _Client(request, answer_bytes), host, port
        )
        clients.append(client)
    began = time.perf_counter()
    before = sum(client.answers for client in clients)
    await asyncio.sleep(seconds)
    after = sum(client.answers for client in clients)
    took = time.perf_counter() - began
    for client in clients:
        client.close()
    return (after - before) / took


def requests_per_second(host: str, port: int, path: str, seconds: float) -> float:
    """Load one route for some seconds; return answers per second."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_load(host, port, path, seconds))
