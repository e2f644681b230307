"""The built-in pool on real sockets."""

import asyncio
import contextlib
import errno
import itertools
import os
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from softaxe.fleet.clock import Clock
from softaxe.serve.addresses import found_at, netloc
from softaxe.serve.intake import Inflow, Intake
from softaxe.serve.listener import close_server
from softaxe.serve.pool_links import SHUTDOWN_S, Wire
from softaxe.stratum.pool import Miner, Pool
from softaxe.units import NEVER

if TYPE_CHECKING:  # it is loaded with its libraries when somebody wants it
    from softaxe.stratum.v2.pool import Entrance

MAX_CONNECTIONS = 20_000
MAX_UNSENT_BYTES = 1 << 20
"""A client that leaves more than this unread is dropped."""
HANDSHAKE_S = 10.0
"""Real seconds that a client has to come to terms by TLS."""
FIRST_PORT_TRIES = 100
"""Ports after the wanted one that are tried when it is taken."""


class PoolServer:
    """Serves one pool on any number of addresses.

    Call `step` regularly; it moves the pool's time and sends what it has to say.

    Args:
        pool: Which.
        clock: Its time.
        intake: Where what miners send takes its turns.
        take_up: Called once with the connection of each miner, before its first bytes
            are heard.
        wake: Called when the pool has something to say earlier than it had.
    """

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        *,
        intake: Intake,
        take_up: Callable[[Miner], None] = lambda connection: None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.pool = pool
        self.addresses: list[tuple[str, int]] = []
        """Where others find the pool."""
        self.urls: list[str] = []
        """The same, for miners; Stratum v2 with the key of its authority."""
        self.entrance: Entrance | None = None
        """Of miners that speak Stratum v2, where there is a port for them."""
        self.wire = Wire()
        self.take_up = take_up
        self._wake = wake
        self._wakes_at = NEVER
        self.intake = intake
        self._clock = clock
        self._servers: list[asyncio.Server] = []
        self._clients: dict[str, _Client] = {}
        """By the names of their miners."""
        self._numbers = itertools.count(2)

    async def listen(
        self,
        host: str,
        port: int,
        *,
        tries: int = 1,
        tls: ssl.SSLContext | None = None,
        is_v2: bool = False,
    ) -> tuple[str, int]:
        """Open a listener on `port`, or on one of the next `tries` - 1 free ones.

        Args:
            host: Its address.
            port: 0 for any.
            tries: How many ports.
            tls: What it encrypts with; None for plain text.
            is_v2: Stratum v2 is spoken there, of the `entrance`.

        Raises:
            OSError: None of them is free.
        """
        for attempt in range(tries):
            try:
                wanted = port + attempt if port else 0
                server = await self._server(host, wanted, tls, is_v2=is_v2)
            except OSError:
                if attempt + 1 == tries:
                    raise
                continue
            break
        self._servers.append(server)
        name = server.sockets[0].getsockname()
        # An event loop's server on :: takes IPv6 alone.
        address = (name[0] if ":" in name[0] else found_at(name[0]), name[1])
        self.addresses.append(address)
        self.urls.append(self._url_of(*address, has_tls=tls is not None, is_v2=is_v2))
        return address

    def _url_of(self, host: str, port: int, *, has_tls: bool, is_v2: bool) -> str:
        place = netloc(host, port)
        if is_v2 and self.entrance is not None:
            return f"stratum2+tcp://{place}/{self.entrance.authority.text}"
        return f"stratum+{'ssl' if has_tls else 'tcp'}://{place}"

    async def _server(
        self, host: str, port: int, tls: ssl.SSLContext | None, *, is_v2: bool
    ) -> asyncio.Server:
        server = await asyncio.get_running_loop().create_server(
            lambda: _Client(self, is_v2=is_v2),
            host,
            port,
            start_serving=False,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else HANDSHAKE_S,
            ssl_shutdown_timeout=None if tls is None else SHUTDOWN_S,
        )
        try:
            await server.start_serving()
            if None in server.sockets:  # uvloop tells in no other way
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        except BaseException:  # called off, or another that bound the port listens
            server.close()
            raise
        return server

    @property
    def connection_count(self) -> int:
        """Miners connected."""
        return len(self._clients)

    def replace(self, pool: Pool) -> None:
        """Go on with another pool in this one's place; all connections end."""
        for client in list(self._clients.values()):
            client.abort()
        self.pool = pool
        if self.entrance is not None:
            self.entrance.pool = pool

    def step(self, now: float) -> None:
        """Let the pool's time pass, and send what it says."""
        self.pool.step(now)
        self.flush_all()

    async def close(self) -> None:
        """Close every listener and connection."""
        for server in self._servers:
            await close_server(server)
        for client in list(self._clients.values()):
            client.abort()
        for server in self._servers:
            with contextlib.suppress(asyncio.CancelledError):
                await server.wait_closed()

    def connect(self, client: "_Client", peer: str, *, is_v2: bool) -> Miner | None:
        """Take up a client; None when there are too many.

        A miner has the name of its address and port. To two ports of ours it may come
        from the same one of its own: then the later has a number, too.
        """
        if len(self._clients) >= MAX_CONNECTIONS:
            self.pool.say(f"{peer}: not taken, {MAX_CONNECTIONS} are connected")
            return None
        name = peer
        if name in self._clients:
            name = f"{peer}~{next(self._numbers)}"
        self._clients[name] = client
        if is_v2 and self.entrance is not None:
            return self.entrance.connect(self.now(), name)
        return self.pool.connect(self.now(), name)

    def connection(self, name: str) -> Miner | None:
        """Return the connection of a miner."""
        client = self._clients.get(name)
        return None if client is None else client.connection

    def strangers(self) -> list[Miner]:
        """Connections of miners that are none of the process's own."""
        return [
            client.connection
            for client in self._clients.values()
            if client.is_stranger and client.connection is not None
        ]

    def flush(self, name: str) -> None:
        """Send what the pool has for one miner."""
        if name in self._clients:
            self._clients[name].flush()

    def flush_all(self) -> None:
        """Send what the pool has for anybody."""
        for connection in self.pool.take_unsent():
            self.flush(connection.name)
        before, self._wakes_at = self._wakes_at, self.pool.next_wake
        if self._wakes_at < before:
            self._wake()

    def forget(self, name: str) -> None:
        """A client's connection has ended."""
        self._clients.pop(name, None)

    def now(self) -> float:
        """Device time, as the pool sees it: only `step` goes past what is due.

        Otherwise a share that comes late would find the pool telling hundreds of miners
        of a new job, and have it done at once.
        """
        return min(self._clock.now, self.pool.next_wake)


class _Client(asyncio.Protocol):
    def __init__(self, server: PoolServer, *, is_v2: bool) -> None:
        self.connection: Miner | None = None
        self.is_stranger = False
        """Told by its first bytes: by then our own miners are known."""
        self._server = server
        self._is_v2 = is_v2
        self._has_spoken = False
        self._name = ""
        """The miner's end, as `address:port`."""
        self._transport: asyncio.Transport | None = None
        self._inflow: Inflow | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A TCP transport always; uvloop's is no subclass.
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if peer is not None:  # else it has gone before it was taken up
            self._name = f"{peer[0]}:{peer[1]}"
            is_v2 = self._is_v2
            self.connection = self._server.connect(self, self._name, is_v2=is_v2)
        if self.connection is None:
            self._transport.abort()
            return
        self._inflow = Inflow(self._server.intake, self._transport, self._take)

    def data_received(self, data: bytes) -> None:
        if self._inflow is not None:
            self._inflow.put(data)

    def _take(self, data: bytes) -> None:
        if self.connection is not None:
            if not self._has_spoken:
                self._has_spoken = True
                self.is_stranger = not self._server.wire.is_own(self._name)
                self._server.take_up(self.connection)
            self._server.wire.arrived(self._name, len(data))
            self.connection.receive(data, self._server.now())
            self._server.flush_all()  # a share may be a block, which concerns everybody

    def connection_lost(self, exc: Exception | None) -> None:
        if self._inflow is not None:
            self._inflow.end(self._gone)

    def _gone(self) -> None:
        if self.connection is not None:
            self.connection.closed(self._server.now())
            self._server.forget(self.connection.name)

    def flush(self) -> None:
        """Send what the pool has for this client."""
        connection, transport = self.connection, self._transport
        if connection is None or transport is None:
            return
        data = connection.data_to_send()
        if transport.is_closing():  # it has gone; what it has sent is still heard
            return
        if data:
            self._server.wire.sent(self._name, len(data))
            transport.write(data)
        if transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            transport.abort()
        elif connection.wants_close:
            transport.close()
            if transport.get_write_buffer_size():  # and perhaps it reads no more
                loop = asyncio.get_running_loop()
                loop.call_later(SHUTDOWN_S, transport.abort)

    def abort(self) -> None:
        """Drop the connection at once."""
        if self._transport is not None:
            self._transport.abort()
