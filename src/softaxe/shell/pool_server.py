"""The built-in pool on real sockets."""

import asyncio
import contextlib
from typing import cast

from softaxe.shell.clock import Clock
from softaxe.stratum.pool import Pool, PoolConnection

MAX_CONNECTIONS = 20_000
MAX_UNSENT_BYTES = 1 << 20
"""A client that leaves more than this unread is dropped."""
FIRST_PORT_TRIES = 100
"""Ports after the wanted one that are tried when it is taken."""


class PoolServer:
    """Serves one pool on any number of addresses.

    Call `step` regularly; it moves the pool's time and sends what it has to say.
    """

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self.pool = pool
        self.addresses: list[tuple[str, int]] = []
        """Where the pool listens."""
        self._clock = clock
        self._servers: list[asyncio.Server] = []
        self._clients: set[_Client] = set()

    async def listen(self, host: str, port: int, *, tries: int = 1) -> tuple[str, int]:
        """Open a listener on `port`, or on one of the next `tries` - 1 free ones.

        Raises:
            OSError: None of them is free.
        """
        loop = asyncio.get_running_loop()
        for attempt in range(tries):
            try:
                server = await loop.create_server(
                    lambda: _Client(self), host, port + attempt if port else 0
                )
            except OSError:
                if attempt + 1 == tries:
                    raise
                continue
            break
        self._servers.append(server)
        name = server.sockets[0].getsockname()
        address = (name[0], name[1])
        self.addresses.append(address)
        return address

    def step(self, now: float) -> None:
        """Let the pool's time pass, and send what it says."""
        if self.pool.next_wake > now:
            return
        self.pool.step(now)
        for client in list(self._clients):
            client.flush()

    async def close(self) -> None:
        """Close every listener and connection."""
        for server in self._servers:
            server.close()
        for client in list(self._clients):
            client.abort()
        for server in self._servers:
            with contextlib.suppress(asyncio.CancelledError):
                await server.wait_closed()

    def connect(self, client: "_Client", name: str) -> PoolConnection | None:
        """Take up a client; None when there are too many."""
        if len(self._clients) >= MAX_CONNECTIONS:
            return None
        self._clients.add(client)
        return self.pool.connect(self.now(), name)

    def forget(self, client: "_Client") -> None:
        """A client's connection has ended."""
        self._clients.discard(client)

    def now(self) -> float:
        """Device time, as the pool sees it."""
        return self._clock.now


class _Client(asyncio.Protocol):
    def __init__(self, server: PoolServer) -> None:
        self._server = server
        self._connection: PoolConnection | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A TCP transport always; uvloop's is no subclass.
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._connection = self._server.connect(self, f"{peer[0]}:{peer[1]}")
        if self._connection is None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._connection is not None:
            self._connection.receive(data, self._server.now())
            self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._connection.closed(self._server.now())
        self._server.forget(self)

    def flush(self) -> None:
        """Send what the pool has for this client."""
        connection, transport = self._connection, self._transport
        if connection is None or transport is None:
            return
        if data := connection.data_to_send():
            transport.write(data)
        if transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            transport.abort()
        elif connection.wants_close:
            transport.close()

    def abort(self) -> None:
        """Drop the connection at once."""
        if self._transport is not None:
            self._transport.abort()
