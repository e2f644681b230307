"""The device's HTTP port: a uvicorn server that can vanish and come back."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

Scope = MutableMapping[str, Any]
AsgiApp = Callable[
    [
        Scope,
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]

BACKLOG = 256
KEEP_ALIVE_S = 3600
"""The firmware never closes an idle connection; an hour is close to never."""
CLOSE_S = 2.0
"""How long requests in progress may take to notice that their client is gone."""


class Listener:
    """Serves an ASGI app on one address, between `open` and `close`.

    The port is chosen at the first `open` and kept.
    """

    def __init__(self, app: AsgiApp, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._config = uvicorn.Config(
            app,
            http="httptools",
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,  # they would let a client forge its address
            timeout_keep_alive=KEEP_ALIVE_S,
            backlog=BACKLOG,
            ws_max_size=1 << 16,
            ws_ping_interval=None,
        )
        self._server: uvicorn.Server | None = None
        logging.getLogger("uvicorn.error").addFilter(_is_news)

    @property
    def is_open(self) -> bool:
        """True while the port is served."""
        return self._server is not None

    async def open(self) -> None:
        """Listen.

        Raises:
            OSError: The address cannot be bound.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self.host, self.port))
        except OSError:
            sock.close()
            raise
        sock.setblocking(False)
        self.port = sock.getsockname()[1]
        if not self._config.loaded:
            self._config.load()
        server = uvicorn.Server(self._config)
        server.lifespan = self._config.lifespan_class(self._config)
        await server.startup(sockets=[sock])
        self._server = server

    async def close(self) -> None:
        """Stop listening and drop every connection at once, as a reset does."""
        server, self._server = self._server, None
        if server is None:
            return
        for listening in server.servers:
            listening.close()
        for connection in list(server.server_state.connections):
            transport = connection.transport
            if transport is not None:
                transport.abort()
        tasks = set(server.server_state.tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_S)
        for task in tasks:
            task.cancel()


def _is_news(record: logging.LogRecord) -> bool:
    # What uvicorn calls an error when a client is gone before its WebSocket opens.
    return "without completing handshake" not in record.msg
